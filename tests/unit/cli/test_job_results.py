"""Where results of jobs go."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from service.client import Answer, Prediction, Result
from service.commands import job_results
from service.commands.job_results import sink
from service.core.errors import BadImage, InvalidInput, Refused
from service.core.messages import ModelKey, Timing

ANSWER = Answer(
    id="j/0",
    model=ModelKey("digits", 3),
    digest="d",
    predictions=(Prediction("seven", 7, 0.75), Prediction("one", 1, 0.25)),
    logits=(),
    timing=Timing(1, 2, 3, 4, "cpu fp32"),
)
RESULTS = [Result("a.png", answer=ANSWER), Result("b.png", error=BadImage("image", "a JPEG", "half of one"))]


def write(out: Path) -> None:
    """Both results."""
    target = sink(out)
    for result in RESULTS:
        target.write(result)
    target.close()


def test_parquet_has_the_fields_of_json_lines(tmp_path: Path) -> None:
    """Row by row, with their types."""
    write(tmp_path / "r.parquet")
    write(tmp_path / "r.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    table = pq.read_table(tmp_path / "r.parquet")

    assert table.to_pylist() == lines
    assert [line["input"] for line in lines] == ["a.png", "b.png"]
    assert (lines[0]["label"], lines[0]["score"], lines[0]["version"]) == ("seven", 0.75, 3)
    assert (lines[1]["label"], lines[1]["error"]) == (None, "image: a JPEG, got half of one")
    assert str(table.schema.field("score").type) == "float"


def test_many_rows_are_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the job."""
    monkeypatch.setattr(job_results, "_ROWS", 2)
    target = sink(tmp_path / "r.parquet")
    for _ in range(5):
        target.write(RESULTS[0])
    target.close()

    file = pq.ParquetFile(tmp_path / "r.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)] == [2, 2, 1]


def test_csv_has_a_heading(tmp_path: Path) -> None:
    """And one row for each result."""
    write(tmp_path / "r.csv")
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))

    assert [(row["input"], row["label"], row["error"]) for row in rows] == [
        ("a.png", "seven", ""),
        ("b.png", "", "image: a JPEG, got half of one"),
    ]


def test_another_format_is_refused(tmp_path: Path) -> None:
    """Before anything is submitted or fetched."""
    with pytest.raises(InvalidInput, match=r"out: a file that ends with \.jsonl, \.csv or \.parquet"):
        sink(tmp_path / "r.xlsx")


def test_parquet_without_pyarrow_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setattr(job_results, "find_spec", lambda _: None)
    with pytest.raises(Refused, match=r"pip install 'vitrine\[parquet\]'"):
        sink(tmp_path / "r.parquet")
