"""Where commands speak: tables and lines for whoever asked, notes on stderr."""

from __future__ import annotations

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_PIPE_WIDTH = 200


def page() -> Console:
    """For tables. Rich assumes 80 columns where there is no terminal; a pipe has room for all."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def lines() -> Console:
    """For lines that are not to be broken, so that they can be read by programs, too."""
    return Console(highlight=False, markup=False, soft_wrap=True)


def notes() -> Console:
    """For what belongs to no result."""
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def table(*columns: str, title: str | None = None, header: bool = True) -> Table:
    """As plain as it can be."""
    return Table(
        *columns,
        title=title,
        show_header=header,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
