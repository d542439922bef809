from __future__ import annotations

import numpy as np
import pytest

from service.core.attribution import AttributionRequest, Target, question
from service.core.errors import InvalidInput
from service.core.introspection import Picture

LABELS = ("cat", "dog", "car")
LOGITS = np.array([1.0, 3.0, 2.0], np.float32)


def asked(target: Target = None, versus: Target = None, weights: tuple[float, ...] = ()) -> AttributionRequest:
    return AttributionRequest("pets", 0, Picture(b"image"), target=target, versus=versus, class_weights=weights)


def test_the_best_class_is_asked_about_by_default() -> None:
    """Its weight is 1, all others 0."""
    best = question(asked(), LOGITS, LABELS)

    assert (best.target, best.versus, best.weights.tolist()) == (1, None, [0, 1, 0])
    assert best.score(LOGITS[np.newaxis]).tolist() == [3]


def test_one_rather_than_another_is_a_difference_of_logits() -> None:
    """By label or index."""
    rather = question(asked("cat", 2), LOGITS, LABELS)

    assert (rather.target, rather.versus, rather.weights.tolist()) == (0, 2, [1, 0, -1])
    assert rather.score(LOGITS[np.newaxis]).tolist() == [-1]


def test_digits_are_an_index_where_they_are_no_label() -> None:
    """A command line has text only; the labels of a network that reads digits come first."""
    assert question(asked("2"), LOGITS, LABELS).target == 2
    assert question(asked("2"), LOGITS, ("2", "1", "0")).target == 0


def test_any_sum_of_logits_can_be_asked_about() -> None:
    """It is told by the class with the largest weight."""
    pets = question(asked(weights=(0.5, 0.75, -1)), LOGITS, LABELS)

    assert (pets.target, pets.weights.tolist()) == (1, [0.5, 0.75, -1])


@pytest.mark.parametrize(
    ("target", "versus", "message"),
    [
        (3, None, "target.index: 0 to 2, got 3"),
        ("cab", None, "target.label: a label of the model; nearest are cat, car, dog, got 'cab'|nearest are car, cat"),
        (None, -1, "versus.index: 0 to 2, got -1"),
        (None, "dog", "versus: another class than target, got 'dog'"),
    ],
)
def test_classes_that_are_none_are_refused(target: Target, versus: Target, message: str) -> None:
    """With what would do."""
    with pytest.raises(InvalidInput, match=message):
        question(asked(target, versus), LOGITS, LABELS)


@pytest.mark.parametrize("weights", [(1.0, 2.0), (0.0, 0.0, 0.0), (1.0, float("nan"), 0.0)])
def test_weights_must_be_one_number_a_class(weights: tuple[float, ...]) -> None:
    """Finite, and not all zero."""
    with pytest.raises(InvalidInput, match="class_weights: 3 finite numbers, not all zero"):
        question(asked(weights=weights), LOGITS, LABELS)


def test_weights_stand_alone() -> None:
    """Beside a target they would contradict it."""
    with pytest.raises(InvalidInput, match="class_weights: stand alone"):
        asked("cat", weights=(1.0, 0.0, 0.0))
