"""Stories about the models folder: versions appear whole, and only grow."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model.publish import publish
from service.core.errors import InvalidInput

pytestmark = pytest.mark.train

FILES = {"model.onnx": b"a model", "samples.npz": b"samples", "card.md": b"# card\n"}


def test_the_first_version_is_one_and_holds_every_file(tmp_path: Path) -> None:
    """All files arrive as they are, and the manifest has the digests of those that serving reads."""
    folder = publish(tmp_path, "toy", FILES)

    assert folder == tmp_path / "toy" / "1"
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert json.loads((folder / "manifest.json").read_text()) == {
        "files": {
            "model.onnx": hashlib.sha256(b"a model").hexdigest(),
            "samples.npz": hashlib.sha256(b"samples").hexdigest(),
        },
        "schema": 1,
    }


def test_versions_grow(tmp_path: Path) -> None:
    """The next version is one more than the highest, not the first gap."""
    publish(tmp_path, "toy", FILES, version=7)

    assert publish(tmp_path, "toy", FILES).name == "8"


@pytest.mark.parametrize("version", [7, 3, 0, -1])
def test_a_version_that_does_not_grow_is_refused(tmp_path: Path, version: int) -> None:
    """A number that somebody may have seen never gets another content."""
    publish(tmp_path, "toy", FILES, version=7)

    with pytest.raises(InvalidInput, match=f"version: must be higher than the highest published, 7, got {version}"):
        publish(tmp_path, "toy", FILES, version=version)
    assert [entry.name for entry in (tmp_path / "toy").iterdir()] == ["7"]


def test_publishers_at_the_same_time_get_different_versions(tmp_path: Path) -> None:
    """Twelve at once: twelve versions, each whole."""
    with ThreadPoolExecutor(12) as pool:
        folders = list(pool.map(lambda i: publish(tmp_path, "toy", {**FILES, "card.md": b"%d" % i}), range(12)))

    assert sorted(int(folder.name) for folder in folders) == list(range(1, 13))
    assert [(folder / "card.md").read_bytes() for folder in folders] == [b"%d" % i for i in range(12)]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    """A disk that fills up half way through (here: a name no file can have) publishes nothing."""
    with pytest.raises(OSError, match="File name too long"):
        publish(tmp_path, "toy", {**FILES, "x" * 300: b""})

    assert list((tmp_path / "toy").iterdir()) == []


@pytest.mark.parametrize("name", ["", "../toy", ".hidden", "a/b", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    """The server would not look at it."""
    with pytest.raises(InvalidInput, match="name: must match"):
        publish(tmp_path, name, FILES)


def test_anybody_may_read_what_is_published(tmp_path: Path) -> None:
    """The server often runs as another user than the publisher."""
    assert publish(tmp_path, "toy", FILES).stat().st_mode & 0o777 == 0o755
