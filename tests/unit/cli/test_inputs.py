"""Which pictures a command line stands for."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from service.commands.inputs import LINES_AHEAD, count, each, pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.PNG", "a.jpg", "notes.txt", "deeper/c.webp", "deeper/still/d.tiff"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_means_the_pictures_below_it(folder: Path) -> None:
    """Recursively, by extension whatever its case, in a fixed order."""
    found = [str(Path(path).relative_to(folder)) for path in pictures(str(folder))]

    assert found == ["a.jpg", "b.PNG", "deeper/c.webp", "deeper/still/d.tiff"]
    assert count([str(folder), str(folder / "a.jpg")]) == 5


def test_a_file_that_is_named_is_taken(folder: Path) -> None:
    """Whatever its name, and even when it is not there: then it is a failure of its own."""
    assert list(pictures(str(folder / "notes.txt"))) == [str(folder / "notes.txt")]
    assert list(pictures("missing.png")) == ["missing.png"]


def test_a_folder_that_cannot_be_listed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes a failure instead of vanishing."""
    listed = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "deeper":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = [str(Path(path).relative_to(folder)) for path in pictures(str(folder))]

    assert found == ["a.jpg", "b.PNG", "deeper"]


async def test_paths_come_from_stdin(folder: Path) -> None:
    """One a line, folders included, empty lines left out, in their place among the arguments."""
    stdin = io.StringIO(f"x.png\n\n{folder / 'deeper'}\r\n")
    found = [path async for path in each(["first.png", "-", "last.png"], stdin)]

    assert found == [
        "first.png",
        "x.png",
        str(folder / "deeper/c.webp"),
        str(folder / "deeper/still/d.tiff"),
        "last.png",
    ]


async def test_stdin_is_read_only_a_little_ahead() -> None:
    """A million lines do not pile up in memory while pictures are in flight."""
    stdin = io.StringIO("x.png\n" * 100_000)
    found = each(["-"], stdin)
    for _ in range(10):
        await anext(found)
    await found.aclose()  # type: ignore[attr-defined]

    assert stdin.tell() <= 6 * (10 + LINES_AHEAD + 1)
