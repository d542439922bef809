"""What a job is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.commands.job_submission import named
from service.core.errors import InvalidInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_gives_its_pictures_in_order(folder: Path) -> None:
    """Nothing else that lies there."""
    assert list(named(str(folder))) == [str(folder / "a.jpg"), str(folder / "b.png")]


def test_a_list_gives_its_lines(folder: Path) -> None:
    """Files and URIs, empty lines left out."""
    (folder / "list").write_text("x/a.png\n\ns3://bucket/b.png\r\nhttps://host/c.jpg")

    assert list(named(str(folder / "list"))) == ["x/a.png", "s3://bucket/b.png", "https://host/c.jpg"]


def test_a_picture_and_a_uri_stand_for_themselves(folder: Path) -> None:
    """One item each."""
    assert list(named(str(folder / "a.jpg"))) == [str(folder / "a.jpg")]
    assert list(named("gs://bucket/x.png")) == ["gs://bucket/x.png"]


def test_what_is_not_there_is_named(folder: Path) -> None:
    """With what it could have been."""
    with pytest.raises(InvalidInput, match="a folder, a picture, a URI or a list"):
        list(named(str(folder / "nothing")))
