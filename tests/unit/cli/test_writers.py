"""What results look like as text."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

from service.client import Answer, Options, Prediction, Result
from service.commands.writers import Format, writer
from service.core.errors import BadImage
from tests.fakes import answer

GOOD = Result("a.png", answer=answer("1", Options()))
BAD = Result("b.png", error=BadImage("image", "a picture", "text"))


def written(form: Format, *results: Result, top_k: int = 2) -> str:
    out = io.StringIO()
    write = writer(form, out, top_k)
    for result in results:
        write(result)
    return out.getvalue()


def test_a_line_of_json_has_everything() -> None:
    """The best class on top, all of them below, and no error."""
    assert json.loads(written("jsonl", GOOD)) == {
        "input": "a.png",
        "label": "zero",
        "index": 0,
        "score": 0.75,
        "predictions": [
            {"label": "zero", "index": 0, "score": 0.75},
            {"label": "eight", "index": 8, "score": 0.25},
        ],
        "error": None,
        "model": "digits",
        "version": 3,
    }


def test_a_failure_is_a_line_too() -> None:
    """The same keys, with the error's message."""
    entry = json.loads(written("jsonl", BAD))

    assert (entry["input"], entry["label"], entry["predictions"]) == ("b.png", None, [])
    assert entry["error"] == "image: a picture, got text"


def test_nothing_above_the_least_score_is_no_label() -> None:
    """An answer without predictions is not a failure."""
    unsure: Answer = replace(answer("1", Options()), predictions=())
    entry = json.loads(written("jsonl", Result("a.png", answer=unsure)))

    assert (entry["label"], entry["error"]) == (None, None)


def test_scores_have_the_digits_of_a_float32() -> None:
    """0.1 on the wire is 0.10000000149 as a double; nobody wants to read that."""
    sure = replace(answer("1", Options()), predictions=(Prediction("zero", 0, 0.10000000149011612),))

    assert '"score": 0.1,' in written("jsonl", Result("a.png", answer=sure))


def test_csv_has_one_row_for_each_picture() -> None:
    """The best class in the plain columns, the others numbered, the error beside the input."""
    rows = list(csv.DictReader(io.StringIO(written("csv", GOOD, BAD, top_k=3))))

    assert [row["input"] for row in rows] == ["a.png", "b.png"]
    assert (rows[0]["label"], rows[0]["score"], rows[0]["label_2"], rows[0]["score_2"]) == (
        "zero",
        "0.75",
        "eight",
        "0.25",
    )
    assert (rows[0]["label_3"], rows[0]["error"]) == ("", "")
    assert (rows[1]["label"], rows[1]["error"]) == ("", "image: a picture, got text")


def test_a_table_names_the_picture_once() -> None:
    """Beside its best class; failures are not in it."""
    lines = written("table", GOOD, BAD).splitlines()

    assert [line.split() for line in lines] == [
        ["score", "label", "picture"],
        ["75.00%", "zero", "a.png"],
        ["25.00%", "eight"],
    ]
