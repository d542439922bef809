"""`vitrine keys new`: an API key, shown once, and its hash for the server's file of keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from service.commands import terminal
from service.core.access import scopes
from service.core.errors import InvalidInput
from service.security import keys


def new(name: str, wanted: Sequence[str], limits: Mapping[str, float], file: Path | None) -> None:
    """Make a key; its hash is appended to `file`, or printed. Raises `InvalidInput`, and then nothing is written."""
    key, entry = keys.new(name, sorted(scopes(wanted)), limits)
    typer.echo(key)
    hints = terminal.notes()
    if file is None:
        hints.print("The key is shown this once. For the server's file of keys:", style="dim")
        hints.print(entry, end="")
    else:
        _append(file, entry)
        hints.print(f"The key is shown this once; its hash is in {file}.", style="dim")


def _append(file: Path, entry: str) -> None:
    try:
        known = file.read_text() if file.exists() else ""
        together = f"{known.rstrip()}\n{entry}".lstrip()
        keys.parse(together)
        file.touch(mode=0o600)
        file.write_text(together)
    except OSError as error:
        raise InvalidInput("file", f"must be writable ({error.strerror})", file) from None
