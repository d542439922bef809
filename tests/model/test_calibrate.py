"""Stories about temperature scaling."""

from __future__ import annotations

import numpy as np
import pytest

from model.calibrate import HIGHEST, LOWEST, temperature
from service.core.scores import sigmoid, softmax
from service.core.spec import Task

pytestmark = pytest.mark.train


def test_the_temperature_that_made_the_scores_wrong_is_found() -> None:
    """Labels drawn from softmax(z): a network that says 2.5 z is 2.5 times too sure."""
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(20_000, 5)).astype(np.float32)
    drawn = (softmax(honest).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)

    assert temperature(honest * 2.5, drawn, "multiclass") == pytest.approx(2.5, rel=0.05)
    assert temperature(honest * 0.4, drawn, "multiclass") == pytest.approx(0.4, rel=0.05)


def test_the_minimum_is_a_minimum() -> None:
    """No temperature nearby has a higher likelihood."""
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(500, 4)).astype(np.float32), rng.integers(0, 4, 500)
    logits[np.arange(500), targets] += 2

    def loss(at: float) -> float:
        return float(-np.log(softmax(logits / np.float32(at))[np.arange(500), targets]).mean())

    best = temperature(logits, targets, "multiclass")
    assert loss(best) < min(loss(best * 0.97), loss(best * 1.03))


@pytest.mark.parametrize(("task", "labels"), [("binary", 1), ("multilabel", 3)])
def test_sigmoid_heads_have_a_temperature_too(task: Task, labels: int) -> None:
    """Every label is a decision of its own."""
    rng = np.random.default_rng(2)
    honest = rng.normal(size=(20_000, labels)).astype(np.float32)
    drawn = (rng.random(honest.shape) < sigmoid(honest)).astype(np.float32)

    assert temperature(honest * 3, drawn, task) == pytest.approx(3, rel=0.05)


def test_a_network_without_mistakes_stays_within_bounds() -> None:
    """The likelihood then grows for ever; the temperature ends at its lowest instead of at zero."""
    logits = np.eye(3, dtype=np.float32)

    assert temperature(logits, np.arange(3), "multiclass") == pytest.approx(LOWEST)
    assert temperature(-logits, np.arange(3), "multiclass") == pytest.approx(HIGHEST)
