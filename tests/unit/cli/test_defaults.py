"""Where settings and options come from: flags, then variables, then the YAML file, then defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli import main
from service.commands import classify
from service.config import WorkerConfig, parse, parse_as
from service.core.errors import InvalidInput

FILE = """
lanes: 3
batch: 8
providers: [openvino, cpu]
max_image_bytes: 1000
commands:
  classify: {model: digits, top_k: 3, format: csv}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vitrine.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[classify.Job]:
    """What `vitrine classify` was told to do, instead of doing it."""
    told: list[classify.Job] = []

    def keep(job: classify.Job, _paths: object) -> int:
        told.append(job)
        return 0

    monkeypatch.setattr(classify, "run", keep)
    return told


def vitrine(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command; its exit code."""
    monkeypatch.setattr("sys.argv", ["vitrine", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_flag_wins_over_a_variable_and_that_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what nobody said has its default."""
    monkeypatch.setenv("VITRINE_LANES", "2")
    monkeypatch.setenv("VITRINE_BATCH", "4")
    config = parse({"lanes": "1"}, file)

    assert (config.lanes, config.batch, config.providers) == (1, 4, ("openvino", "cpu"))
    assert (config.max_image_bytes, config.max_image_pixels) == (1000, 64_000_000)


def test_a_worker_reads_the_same_file(file: Path) -> None:
    """What is said for commands is none of its business."""
    assert parse_as(WorkerConfig, {}, file).lanes == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lanse: 3", r"^lanse: Extra inputs are not permitted"),
        ("lanes: -3", r"^lanes: Input should be greater than 0, got -3"),
        ("lanes: [", r"^config: .* must be YAML"),
    ],
)
def test_a_mistake_in_the_file_is_named(file: Path, text: str, message: str) -> None:
    """By its key."""
    file.write_text(text)
    with pytest.raises(InvalidInput, match=message):
        parse({}, file)


def test_options_of_commands_come_from_the_same_places(
    file: Path, jobs: list[classify.Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """VITRINE_CLASSIFY_TOP_K wins over the file, `--format` over both."""
    monkeypatch.setenv("VITRINE_CONFIG", str(file))
    assert vitrine(monkeypatch, "classify", "a.png") == 0
    monkeypatch.setenv("VITRINE_CLASSIFY_TOP_K", "2")
    assert vitrine(monkeypatch, "classify", "a.png", "--format", "table") == 0

    assert [(job.model, job.options.top_k, job.form) for job in jobs] == [("digits", 3, "csv"), ("digits", 2, "table")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("commands: {classify: {topk: 3}}", "commands.classify.topk: one of concurrency, "),
        ("commands: {clasify: {}}", "commands.clasify: one of attribute, classify, "),
        ("commands: {jobs: {submit: 3}}", "commands.jobs.submit: a mapping of options, got 3"),
        ("commands: [", "config: "),
    ],
)
def test_a_mistake_in_a_commands_options_is_one_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    """Not a default that is silently not used."""
    file.write_text(text)
    monkeypatch.setenv("VITRINE_CONFIG", str(file))

    assert vitrine(monkeypatch, "version") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"vitrine: {message}")


def test_a_file_for_servers_only_is_fine(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an empty one."""
    monkeypatch.setenv("VITRINE_CONFIG", str(file))
    for text in ("lanes: 3", ""):
        file.write_text(text)
        assert vitrine(monkeypatch, "version") == 0
