"""`vitrine doctor`: a deployment before it serves, or while it does; the options are those of `vitrine serve`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer
from rich.text import Text

from service.bootstrap.checkup import DoctorConfig, Finding, examine
from service.commands import terminal
from service.commands.options import Flag, command, given
from service.config import parse_as

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(config: Path | None, **flags: Flag) -> None:
    """Check Redis, clock, ports, providers, models, certificates and disk, and say what to mend.

    It changes nothing. Exit code 1 when something would keep the server from serving, or would lose work.
    """
    settings = parse_as(DoctorConfig, given(flags), config)
    raise typer.Exit(int(asyncio.run(_examine(settings))))


async def _examine(settings: DoctorConfig) -> bool:
    """Print each finding as it is made; whether one of them is an error."""
    console, failed = terminal.lines(), False
    async for finding in examine(settings):
        failed |= finding.level == "error"
        console.print(_line(finding))
    return failed


def _line(finding: Finding) -> Text:
    line = Text.assemble((f"{finding.level:8}", _STYLES[finding.level]), f"{finding.subject}: {finding.message}")
    return line.append(f"\n        -> {finding.mend}") if finding.mend else line


app = command(doctor, DoctorConfig)
