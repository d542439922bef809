"""`tritonclient[http]`, unchanged, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.oip.conftest import DIGITS, Facts
from tests.serving import Serving


@pytest.fixture(scope="module")
def facts(client: Callable[..., Facts], serving: Serving) -> Facts:
    return client("triton_http.py", serving.http.removeprefix("http://"), str(DIGITS))


def test_health(facts: Facts) -> None:
    """Live, ready, ready by version, and a model that is not there."""
    assert facts["health"] == [True, True, True, False]


def test_descriptions_hold_numbers(facts: Facts) -> None:
    """perf_analyzer reads dims as JSON numbers, not as the strings of proto3's JSON."""
    inputs = [{"name": "image", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}]

    assert facts["descriptions"] == ["vitrine", inputs, 8, [28, 28, 1]]


def test_bytes_and_json_are_the_same(facts: Facts) -> None:
    """A tensor behind the JSON and one within it give the same logits, either way back."""
    assert facts["binary_and_json"] == [True, "ours", "1"]


def test_every_declared_output_comes_unasked(facts: Facts) -> None:
    """Logits and scores of two pictures."""
    assert facts["every_output"] == [[2, 10], [2, 10]]


def test_classification_of_encoded_pictures(facts: Facts) -> None:
    """Labels of a zero, a one and a two, as bytes and as JSON."""
    assert facts["classification"] == [["0", "1", "2"], ["0", "1", "2"]]


def test_a_layer_by_its_name(facts: Facts) -> None:
    """What a ReLU gave for each of three pictures."""
    assert facts["layers"] == [3, 16, 28, 28]


def test_compressed_requests(facts: Facts) -> None:
    """By gzip, and by what HTTP calls deflate."""
    assert facts["compressed"] == [[2, 10], [2, 10]]


def test_statistics_count(facts: Facts) -> None:
    """Two more pictures."""
    assert facts["statistics"] == 2


def test_models_are_unloaded_and_loaded(facts: Facts) -> None:
    """In between the model is not ready."""
    assert facts["repository"] == [False, {"digits": "READY", "guide": "READY"}]


def test_mistakes_are_told(facts: Facts) -> None:
    """By HTTP's codes, with the message where clients look for it."""
    assert facts["refusals"] == {
        "model": ["404", "model: no model is called 'nothing'; there are digits, guide"],
        "shape": ["400", "inputs.image.shape: [N, 28, 28, 1] for UINT8, got [2, 1, 28, 28]"],
        "shared memory": ["501", "systemsharedmemory: this extension is not offered; /v2 lists those that are"],
    }
