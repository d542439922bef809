"""How good a model is, from its logits: pure arithmetic, for the card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.parity import decisions
from service.core.errors import InvalidInput
from service.core.scores import scores
from service.core.spec import Spec

BINS = 15  #: of the reliability diagram and the calibration error, equally wide


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """One class against all others. A ratio whose denominator is zero is 0."""

    label: str
    support: int  #: images that show the class
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Decisions whose confidence fell into `low`..`high`: how many, how sure, how often right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's quality on labelled images.

    `accuracy` is the share of images with every decision right: top-1 for "multiclass", all labels for "multilabel".
    `confusion` counts images as [true][predicted], for "binary" with negative first; it is empty for "multilabel".
    `calibration_error` is the expected calibration error in 0..1 (Naeini et al., AAAI 2015).
    """

    images: int
    accuracy: float
    classes: tuple[ClassQuality, ...]
    confusion: tuple[tuple[int, ...], ...]
    bins: tuple[Bin, ...]
    calibration_error: float


def evaluate(logits: NDArray[np.float32], targets: NDArray[np.generic], spec: Spec) -> Evaluation:
    """Judge logits [N, classes] at the spec's temperature.

    `targets` is the class index [N] for "multiclass", else 0/1 [N, labels]. Raises `InvalidInput` without images.
    """
    if not len(logits):
        raise InvalidInput("images", "at least one is needed", 0)
    decided, truth = decisions(logits, spec.task), targets.reshape(len(targets), -1).astype(np.int64)
    predicted, actual = _one_hot(decided, spec), _one_hot(truth, spec)
    sure, right = _confidences(logits, decided, truth, spec)
    bins = _bins(sure, right)
    return Evaluation(
        images=len(logits),
        accuracy=float(np.mean(np.all(decided == truth, axis=1))),
        classes=tuple(_quality(label, predicted[:, i], actual[:, i]) for i, label in enumerate(spec.labels)),
        confusion=_confusion(truth, decided, spec),
        bins=bins,
        calibration_error=sum(bin_.count * abs(bin_.accuracy - bin_.confidence) for bin_ in bins) / len(sure),
    )


def _one_hot(decided: NDArray[np.int64], spec: Spec) -> NDArray[np.bool_]:
    """[N, labels]: which labels each image is said to have."""
    if spec.task != "multiclass":
        return decided.astype(np.bool_)
    found: NDArray[np.bool_] = decided == np.arange(len(spec.labels))
    return found


def _quality(label: str, predicted: NDArray[np.bool_], actual: NDArray[np.bool_]) -> ClassQuality:
    hits = int(np.sum(predicted & actual))
    precision, recall = _ratio(hits, int(predicted.sum())), _ratio(hits, int(actual.sum()))
    return ClassQuality(label, int(actual.sum()), precision, recall, _ratio(2 * precision * recall, precision + recall))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _confusion(truth: NDArray[np.int64], decided: NDArray[np.int64], spec: Spec) -> tuple[tuple[int, ...], ...]:
    if spec.task == "multilabel":
        return ()
    size = 2 if spec.task == "binary" else len(spec.labels)
    counts = np.bincount(truth[:, 0] * size + decided[:, 0], minlength=size * size).reshape(size, size)
    return tuple(tuple(int(count) for count in row) for row in counts)


def _confidences(
    logits: NDArray[np.float32], decided: NDArray[np.int64], truth: NDArray[np.int64], spec: Spec
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Per decision: the score of what was decided, and whether it was right."""
    likely = scores(logits, spec)
    if spec.task == "multiclass":
        sure = np.take_along_axis(likely, decided, axis=1)
    else:
        sure = np.where(decided == 1, likely, 1 - likely)
    return sure.ravel(), (decided == truth).ravel()


def _bins(sure: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    places = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    confidence = np.bincount(places, weights=sure, minlength=BINS)
    accuracy = np.bincount(places, weights=right, minlength=BINS)
    return tuple(
        Bin(i / BINS, (i + 1) / BINS, int(n), _ratio(float(confidence[i]), n), _ratio(float(accuracy[i]), n))
        for i, n in enumerate(counts)
    )
