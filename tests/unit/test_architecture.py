"""docs/architecture.md is the map of this tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
HOUSE = TEXT.split("```")[1]


def modules(folder: Path) -> set[str]:
    """Names of the modules and packages in it."""
    found = [path for path in folder.iterdir() if path.name[0] not in "_."]
    return {path.stem for path in found if path.is_dir() or path.suffix == ".py"}


def test_the_house_has_every_room() -> None:
    """Each package and module of the service is named, and none that is not there."""
    named = set(re.findall(r"^  ([a-z]+)\b", HOUSE, re.MULTILINE)) | set(re.findall(r"\b([a-z]+)/(?= )", HOUSE))

    assert modules(ROOT / "service") - named == set()
    assert named - modules(ROOT / "service") - {path.name for path in ROOT.iterdir()} - {"zoo"} == set()


def test_every_kind_of_test_is_named() -> None:
    """In the last line of the house."""
    line = HOUSE.strip().splitlines()[-1]

    assert {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] != "_"} <= set(
        re.findall(r"[a-z0-9]+", line)
    )


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+(?:\.[a-z]+)?)`", TEXT))))
def test_what_it_points_to_is_there(path: str) -> None:
    """Below the root, or below the service or its core."""
    places = [ROOT / folder / path for folder in ("", "service", "service/queues", "docs")]

    assert [place for place in places if place.exists() or place.with_suffix(".py").exists()] != []
