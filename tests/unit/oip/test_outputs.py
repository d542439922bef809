"""The classification extension, where Triton's own leaves the order to chance."""

from __future__ import annotations

import numpy as np
import pytest

from service.core.errors import InvalidInput
from service.oip.messages import Wanted
from service.oip.outputs import MAX_CLASSIFIED, classify, plan
from service.oip.tensors import to_raw


def described(values: list[float], k: int, labels: tuple[str, ...] = ()) -> list[str]:
    tensor = classify("scores", np.array([values], np.float32), k, labels)
    assert tensor.shape == (1, min(k, len(values)))
    return [each.decode() for each in tensor.elements]


def test_values_are_written_as_by_c_plus_plus() -> None:
    """Six decimals, then the index, then the label, which may hold colons of its own."""
    assert described([0.25, 0.5], 2, ("cat", "dog: large")) == ["0.500000:1:dog: large", "0.250000:0:cat"]


def test_ties_go_to_the_lower_index() -> None:
    """So that the same picture has the same answer twice."""
    assert described([1.0, 2.0, 2.0], 3) == ["2.000000:1", "2.000000:2", "1.000000:0"]


def test_nan_comes_last() -> None:
    """Where a comparison with it would spoil the order of the others."""
    assert described([float("nan"), 1.0, float("inf")], 3) == ["inf:2", "1.000000:1", "nan:0"]


def test_no_more_classes_than_there_are() -> None:
    """Asking for ten of two gives two."""
    assert described([1.0, 2.0], 10) == ["2.000000:1", "1.000000:0"]


def test_very_large_outputs_are_not_sorted() -> None:
    """A layer may have more values than anyone wants as text."""
    with pytest.raises(InvalidInput, match=r"outputs.layer.classification: at most 1000000 values, got 1000001"):
        classify("layer", np.zeros((1, MAX_CLASSIFIED + 1), np.float32), 1, ())


def test_strings_travel_behind_their_length() -> None:
    """Four bytes, little-endian."""
    assert to_raw(classify("scores", np.array([[1.5]], np.float32), 1, ("x",))) == b"\x0c\0\0\0" + b"1.500000:0:x"


def test_layers_are_whatever_is_not_declared() -> None:
    """In the order in which they were asked for."""
    planned = plan([Wanted("stem"), Wanted("scores"), Wanted("flatten")])

    assert planned.layers == ("stem", "flatten")
    assert [wanted.name for wanted in planned.wanted] == ["stem", "scores", "flatten"]
