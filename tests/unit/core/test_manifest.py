from __future__ import annotations

import pytest

from service.core.errors import InvalidInput
from service.core.manifest import Manifest, from_json, to_json

MANIFEST = Manifest({"model.onnx": "ab" * 32})


def test_a_manifest_survives_the_disk() -> None:
    """What is written is what is read."""
    assert from_json(to_json(MANIFEST)) == MANIFEST


def test_a_manifest_is_readable_by_people() -> None:
    """It is indented and ends with a newline."""
    assert to_json(Manifest({"model.onnx": "12"})) == (
        b'{\n  "files": {\n    "model.onnx": "12"\n  },\n  "schema": 1\n}\n'
    )


def test_a_manifest_of_another_schema_is_refused() -> None:
    """The message names the field, the limit and the value."""
    with pytest.raises(InvalidInput, match=r"manifest\.schema: Input should be 1, got 2"):
        from_json('{"files": {}, "schema": 2}')


def test_a_torn_manifest_is_refused() -> None:
    """Half a file is no manifest."""
    with pytest.raises(InvalidInput, match="Invalid JSON"):
        from_json(to_json(MANIFEST)[:20])
