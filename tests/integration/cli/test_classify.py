"""`vitrine classify` and `vitrine models` as processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.core.errors import BadImage
from tests.fake_server import Running

Vitrine = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def vitrine(server: Running) -> Vitrine:
    """Runs a command against the server, with `stdin` as its input."""

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "service", *arguments, "--server", server.address]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def folder(tmp_path: Path, server: Running) -> Path:
    """Three pictures, of which the server refuses "b"."""
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    server.inside.failures[b"b"] = BadImage("image", "a picture", "text")
    return tmp_path


def test_a_folder_becomes_lines(vitrine: Vitrine, folder: Path) -> None:
    """Every picture has its line, the failure is named on stderr, and the exit code tells of it."""
    done = vitrine("classify", "--model", "digits", "--format", "jsonl", str(folder))
    entries = {Path(entry["input"]).name: entry for entry in map(json.loads, done.stdout.splitlines())}

    assert done.returncode == 1
    assert {name: entry["label"] for name, entry in entries.items()} == {
        "a.png": "zero",
        "b.png": None,
        "c.png": "zero",
    }
    assert entries["b.png"]["error"] == "image: a picture, got text"
    assert f"{folder / 'b.png'}: image: a picture, got text" in done.stderr
    assert "3 pictures, 1 failed" in done.stderr


def test_all_well_is_exit_code_zero(vitrine: Vitrine, folder: Path, server: Running) -> None:
    """Options reach the server, and a file takes the output."""
    output = folder / "out.csv"
    flags = ("--top-k", "1", "--min-score", "0.5", "--format", "csv", "--output", str(output))
    done = vitrine("classify", "--model", "digits", *flags, str(folder / "a.png"), str(folder / "c.png"))

    assert (done.returncode, done.stdout) == (0, "")
    assert sorted(output.read_text().splitlines()) == sorted(
        ["input,error,label,index,score", f"{folder / 'a.png'},,zero,0,0.75", f"{folder / 'c.png'},,zero,0,0.75"]
    )
    assert (server.inside.calls[0].options.top_k, server.inside.calls[0].options.min_score) == (1, 0.5)


def test_paths_come_from_stdin(vitrine: Vitrine, folder: Path) -> None:
    """As from `find`."""
    done = vitrine("classify", "--model", "digits", "-", stdin=f"{folder / 'a.png'}\n{folder / 'none.png'}\n")

    assert done.returncode == 1
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["picture", str(folder / "a.png"), "eight"]
    assert "none.png: [Errno 2] No such file or directory" in done.stderr


def test_file_names_need_not_be_text(vitrine: Vitrine, folder: Path) -> None:
    """A name that is not UTF-8 is classified, and its line is still JSON that names it."""
    name = os.fsdecode(b"\xff.png")
    (folder / name).write_bytes(b"a")
    done = vitrine("classify", "--model", "digits", "--format", "jsonl", str(folder))
    inputs = [Path(json.loads(line)["input"]).name for line in done.stdout.splitlines()]

    assert sorted(inputs) == ["a.png", "b.png", "c.png", name]


def test_a_terminal_shows_how_far_it_is(server: Running, folder: Path) -> None:
    """A bar with the count, the rate and the time that is left, on stderr; the results are none of its business."""
    ours, theirs = pty.openpty()
    command = ("classify", "--model", "digits", "--server", server.address, str(folder))
    with subprocess.Popen(
        [sys.executable, "-m", "service", *command],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    ) as process:
        os.close(theirs)
        shown = "".join(_read(ours))
        assert process.stdout
        results = process.stdout.read()
    os.close(ours)

    assert process.returncode == 1
    assert "\x1b[" in shown
    assert re.search(r"3/3 \d+/s \d:\d\d:\d\d 1 failed", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown))
    assert results.startswith("  score  label")
    assert "\x1b" not in results


def test_a_pipe_shows_no_bar(vitrine: Vitrine, folder: Path) -> None:
    """Only what failed, and the sum."""
    done = vitrine("classify", "--model", "digits", str(folder))

    assert "\x1b" not in done.stderr
    assert [line.split(",")[0].split(":")[0] for line in done.stderr.splitlines()] == [
        str(folder / "b.png"),
        "3 pictures",
    ]


def _read(terminal: int) -> Iterator[str]:
    """What is written to a terminal until its last writer has closed it."""
    with contextlib.suppress(OSError):  # Linux says EIO then
        while written := os.read(terminal, 4096):
            yield written.decode()


def test_an_unknown_model_is_said_before_anything_is_read(vitrine: Vitrine, folder: Path, server: Running) -> None:
    """One line, exit code 2, and no picture sent."""
    done = vitrine("classify", "--model", "cats", str(folder))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vitrine: no model 'cats' in version 0\n"
    assert server.inside.calls == []


@pytest.mark.parametrize("command", [("models",), ("classify", "--model", "digits", "a.png")])
def test_no_server_is_one_line(command: tuple[str, ...]) -> None:
    """The address is in it, it comes at once, and the exit code is 2."""
    full = [sys.executable, "-m", "service", *command, "--server", "127.0.0.1:1"]
    done = subprocess.run(full, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vitrine: ")
    assert "127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_models_are_a_table(vitrine: Vitrine) -> None:
    """State, provider and reason for each; the measurements on request."""
    plain = vitrine("models")
    tuned = vitrine("models", "--tuning")

    assert plain.returncode == 0
    for word in ("digits", "ready", "28x28x1", "openvino", "fashion", "failed"):
        assert word in plain.stdout
    assert "slower" not in plain.stdout
    for word in ("11100", "5300", "slower", "cache"):
        assert word in tuned.stdout
