"""The bar of everything that goes through many pictures."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f}/s" if task.speed else "", style="progress.data.speed")


class _Failed(ProgressColumn):
    def render(self, task: Task) -> Text:
        failed = task.fields.get("failed", 0)
        return Text(f"{failed} failed" if failed else "", style="red")


#: The one task of the bar: rich numbers tasks from 0.
BAR = TaskID(0)


def bar(console: Console) -> Progress:
    """A bar on a terminal, nothing elsewhere. It gets out of the way of results written to the same terminal."""
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(), _Failed())
    own = sys.stdout.isatty()
    made = Progress(*columns, console=console, disable=not console.is_terminal, redirect_stdout=own)
    made.add_task("pictures", total=None, failed=0)
    return made
