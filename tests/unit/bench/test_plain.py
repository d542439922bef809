"""What others are measured with does the same work: it classifies as well."""

from __future__ import annotations

from pathlib import Path

from tests.bench.peers.plain_model import PlainModel
from tests.bench.plain import write_plain

DIGITS = Path("model/pictures/digits")


def test_the_plain_model_knows_the_digits(tmp_path: Path) -> None:
    plain = PlainModel(write_plain(Path("model/zoo"), "digits", tmp_path))

    best = {int(picture.stem): plain.classify(picture.read_bytes())[0]["index"] for picture in DIGITS.glob("*.png")}

    assert best == {digit: digit for digit in range(10)}
