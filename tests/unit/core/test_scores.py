from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.core.messages import Options, Prediction
from service.core.scores import scores, top_k
from service.core.spec import Spec, Task

SPEC = Spec(name="x", channels=1, height=1, width=1, labels=("a", "b", "c"))


def labels(rows: NDArray[np.float32], *options: Options) -> list[list[str]]:
    """The labels of the best classes of each row."""
    return [[prediction.label for prediction in found] for found in top_k(rows, SPEC, options)]


def test_multi_class_scores_are_a_softmax() -> None:
    """Logits 0, ln 2 and ln 5 stand for 1 : 2 : 5."""
    logits = np.log(np.array([[1, 2, 5]], np.float32))

    assert scores(logits, SPEC).tolist() == [pytest.approx([0.125, 0.25, 0.625])]


def test_multi_label_scores_are_independent() -> None:
    """Each logit has its own sigmoid: ln 3 stands for 3 : 1."""
    logits = np.array([[0, np.log(3), -np.log(3)]], np.float32)

    assert scores(logits, replace(SPEC, task="multilabel")).tolist() == [pytest.approx([0.5, 0.75, 0.25])]


def test_the_temperature_softens_scores() -> None:
    """At temperature 2 the logits count half."""
    logits = 2 * np.log(np.array([[1, 2, 5]], np.float32))

    assert scores(logits, replace(SPEC, temperature=2.0)).tolist() == [pytest.approx([0.125, 0.25, 0.625])]


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_huge_logits_do_not_overflow(task: Task) -> None:
    """Scores stay in 0..1 where a plain exponential would be infinite."""
    logits = np.array([[3e4, 0, -3e4]], np.float32)

    assert scores(logits, replace(SPEC, task=task))[0, [0, 2]].tolist() == [1.0, 0.0]


def test_predictions_come_best_first() -> None:
    """Only the wanted number of classes is returned, with label, index and score."""
    rows = np.array([[0.25, 0.125, 0.625]], np.float32)

    assert top_k(rows, SPEC, [Options(top_k=2)]) == [(Prediction("c", 2, 0.625), Prediction("a", 0, 0.25))]


def test_of_equal_scores_the_lower_index_wins() -> None:
    """Ties are broken the same way every time."""
    rows = np.array([[0.25, 0.5, 0.5]], np.float32)

    assert labels(rows, Options(top_k=3)) == [["b", "c", "a"]]


def test_low_scores_are_left_out() -> None:
    """A class must reach the caller's minimum."""
    rows = np.array([[0.25, 0.125, 0.625]], np.float32)

    assert labels(rows, Options(min_score=0.25)) == [["c", "a"]]


def test_each_row_has_its_own_options() -> None:
    """Of one batch, every caller gets as much as it asked for."""
    rows = np.array([[0.25, 0.125, 0.625]] * 3, np.float32)

    assert labels(rows, Options(top_k=1), Options(top_k=3), Options(min_score=0.5)) == [["c"], ["c", "a", "b"], ["c"]]
