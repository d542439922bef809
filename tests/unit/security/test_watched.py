from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.core.errors import InvalidInput
from service.security.watched import Renewed, Watched


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def whole(text: str) -> int:
    if not text.strip().isdigit():
        raise InvalidInput("number", "must be digits", text)
    return int(text)


def write(path: Path, text: str, stamp: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(stamp, stamp))


def test_a_change_is_seen_within_a_second(tmp_path: Path) -> None:
    """Not at every look: a request must not cost a system call."""
    path, clock = tmp_path / "n", Clock()
    write(path, "1", 1)
    watched = Watched("number", path, whole, clock)
    write(path, "2", 2)

    assert watched.value() == 1
    clock.now = 1.0
    assert watched.value() == 2


@pytest.mark.parametrize("broken", ["x", None])
def test_what_cannot_be_read_changes_nothing(tmp_path: Path, broken: str | None) -> None:
    """A broken or missing file leaves what was read before, until it is whole again."""
    path, clock = tmp_path / "n", Clock()
    write(path, "1", 1)
    watched = Watched("number", path, whole, clock)
    path.unlink()
    if broken:
        write(path, broken, 2)
    clock.now = 1.0

    assert watched.value() == 1
    write(path, "3", 3)
    clock.now = 2.0
    assert watched.value() == 3


def test_a_file_that_was_read_while_it_was_written_is_read_again(tmp_path: Path) -> None:
    """Even when its time is still the same, as it is for some milliseconds; the log says once that it waits."""
    path = tmp_path / "n"
    write(path, "1", 1)
    renewed = Renewed("number", [path], lambda: whole(path.read_text()))
    write(path, "2x", 2)
    with capture_logs() as log:
        assert [renewed.look(), renewed.look(), renewed.value] == [False, False, 1]
        write(path, "23", 2)
        assert [renewed.look(), renewed.look(), renewed.value] == [True, False, 23]

    assert [each["log_level"] for each in log] == ["error", "info"]


def test_at_the_beginning_it_must_be_there(tmp_path: Path) -> None:
    """A server does not start with a setting that it cannot read."""
    with pytest.raises(InvalidInput, match=r"^keys_file: must be a readable file \(No such file or directory\)"):
        Watched("keys_file", tmp_path / "none", whole)
