"""Stories about the numbers on the card, each small enough to be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluate import evaluate
from service.core.errors import InvalidInput
from service.core.spec import Spec

pytestmark = pytest.mark.train


def logits_of(*decided: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Logits that decide for these of three classes."""
    return np.eye(3, dtype=np.float32)[list(decided)]


@pytest.fixture
def spec() -> Spec:
    return Spec("toy", 1, 1, 1, ("a", "b", "c"))


def test_precision_recall_and_confusion_are_counted(spec: Spec) -> None:
    """Five images: both a found, one b taken for an a, one b found, the c taken for a b."""
    result = evaluate(logits_of(0, 0, 0, 1, 1), np.array([0, 0, 1, 1, 2]), spec)

    a, b, c = result.classes
    assert result.accuracy == pytest.approx(3 / 5)
    assert result.confusion == ((2, 0, 0), (1, 1, 0), (0, 1, 0))
    assert (a.support, a.precision, a.recall, a.f1) == pytest.approx((2, 2 / 3, 1, 0.8))
    assert (b.support, b.precision, b.recall, b.f1) == pytest.approx((2, 0.5, 0.5, 0.5))
    assert (c.support, c.precision, c.recall, c.f1) == (1, 0, 0, 0)


def test_the_calibration_error_is_the_gap_weighted_by_bin() -> None:
    """Eight decisions at 0.9 of which six are right, two at 0.6 of which both are: 0.8 * 0.15 + 0.2 * 0.4."""
    spec = Spec("toy", 1, 1, 1, ("yes",), task="binary")
    likely = np.array([0.9] * 8 + [0.6] * 2)
    logits = np.log(likely / (1 - likely)).astype(np.float32)[:, None]
    targets = np.array([1] * 6 + [0] * 2 + [1] * 2, np.float32)[:, None]

    result = evaluate(logits, targets, spec)

    assert result.calibration_error == pytest.approx(0.8 * 0.15 + 0.2 * 0.4)
    filled = [(bin_.count, bin_.confidence, bin_.accuracy) for bin_ in result.bins if bin_.count]
    assert filled == [pytest.approx((2, 0.6, 1.0)), pytest.approx((8, 0.9, 0.75))]


def test_a_sure_no_is_as_confident_as_a_sure_yes() -> None:
    """Binary: the score of the decision counts, whichever it is."""
    spec = Spec("toy", 1, 1, 1, ("yes",), task="binary")

    result = evaluate(np.array([[-5.0], [5.0]], np.float32), np.array([[0.0], [1.0]], np.float32), spec)

    assert result.confusion == ((1, 0), (0, 1))
    assert [bin_.count for bin_ in result.bins if bin_.count] == [2]


def test_multilabel_images_are_right_only_with_all_labels() -> None:
    """Two labels: one image wholly right, one with a label too many. There is no confusion matrix."""
    spec = Spec("toy", 1, 1, 1, ("cat", "dog"), task="multilabel")

    result = evaluate(np.array([[2, -2], [2, 2]], np.float32), np.array([[1, 0], [1, 0]], np.float32), spec)

    assert result.accuracy == 0.5
    assert result.confusion == ()
    assert [(c.precision, c.recall) for c in result.classes] == [(1, 1), (0, 0)]


def test_the_temperature_changes_confidence_and_no_decision(spec: Spec) -> None:
    """Hotter is less sure."""
    logits, targets = logits_of(0, 1, 2) * 4, np.arange(3)
    hot = evaluate(logits, targets, Spec("toy", 1, 1, 1, spec.labels, temperature=4.0))

    cold = evaluate(logits, targets, spec)

    assert cold.accuracy == hot.accuracy == 1
    assert cold.calibration_error < hot.calibration_error


def test_no_images_no_evaluation(spec: Spec) -> None:
    """An average of nothing is an error, not a NaN on the card."""
    with pytest.raises(InvalidInput, match="images: at least one is needed, got 0"):
        evaluate(np.empty((0, 3), np.float32), np.empty(0, np.int64), spec)
