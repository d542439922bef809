from __future__ import annotations

import numpy as np
import pytest

from service.core.errors import InvalidInput
from service.core.faithfulness import Check, Curves, area, ranks, revealing


def test_pixels_appear_in_the_order_of_their_evidence() -> None:
    """None at first, the strongest, then more, at last all; equal ones row by row."""
    places = ranks(np.array([[1.0, 5.0], [5.0, 0.0]]))

    assert places.tolist() == [[2, 0], [1, 3]]
    assert revealing(places, np.array([0, 0.25, 0.5, 1])).tolist() == [
        [[0, 0], [0, 0]],
        [[0, 1], [0, 0]],
        [[0, 1], [1, 0]],
        [[1, 1], [1, 1]],
    ]


def test_areas_are_those_of_trapezoids() -> None:
    """Of a step up in the middle and of its opposite."""
    curves = Curves(insertion=(0, 0, 1, 1, 1), deletion=(1, 1, 0, 0, 0))

    assert (curves.insertion_area, curves.deletion_area) == (0.625, 0.375)
    assert area((0, 1)) == 0.5


def test_controls_are_the_seeds() -> None:
    """As many random maps as wanted, the same for the same seed."""
    first, second = (list(Check(controls=2, seed=3).controls_like(np.zeros((2, 3)))) for _ in range(2))

    assert [control.shape for control in first] == [(2, 3), (2, 3)]
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
    assert Check(steps=10, controls=2).runs == 66


@pytest.mark.parametrize(
    ("steps", "controls", "message"),
    [(0, 1, "check.steps: 1 to 1000, got 0"), (1, 101, "check.controls: 1 to 100, got 101")],
)
def test_checks_have_bounds(steps: int, controls: int, message: str) -> None:
    """Field, limit and value are named."""
    with pytest.raises(InvalidInput, match=message):
        Check(steps, controls)
