"""What a person and a plot see of a training run: a progress bar, and one JSON object per line in `metrics.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model.checkpoint import write_bytes
from model.run_state import Position

METRICS = "metrics.jsonl"
Metrics = Mapping[str, float | int | str]


class RunLog:
    """Writes metrics and draws the bar; with `visible` False (other processes than the first) it does neither."""

    def __init__(self, run_dir: Path, steps: int, console: Console, *, visible: bool) -> None:
        self._path = run_dir / METRICS
        self._visible = visible
        self._progress = Progress(
            TextColumn("[bold]epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}  {task.fields[pace]:.0f}/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not visible,
        )
        self._task = self._progress.add_task("train", total=steps, epoch=1, loss=0.0, accuracy=0.0, pace=0.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def rewind(self, step: int) -> None:
        """Drop the lines after `step`: that part of the run is about to be repeated."""
        if self._visible and self._path.exists():
            lines = self._path.read_bytes().splitlines(keepends=True)
            # A line cut short by a kill cannot be parsed, and belongs to what is repeated.
            kept = [line for line in lines if line.endswith(b"\n") and json.loads(line)["step"] <= step]
            write_bytes(self._path, b"".join(kept))

    def show(self, position: Position, epoch: int, batch: int) -> None:
        """Move the bar; loss and accuracy are the epoch's so far, the pace is that of the whole run."""
        tally = position.tally
        self._progress.update(
            self._task,
            completed=position.step,
            epoch=epoch,
            loss=tally.mean_loss,
            accuracy=tally.accuracy,
            pace=position.step * batch / position.seconds,
        )

    def write(self, metrics: Metrics) -> None:
        """Append one line."""
        if self._visible:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(metrics) + "\n")

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._visible:
            self._progress.console.print(text)
