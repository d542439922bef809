"""From logits to the predictions a caller reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.core.messages import Options, Prediction
from service.core.spec import Spec


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis, shifted by the maximum so that it cannot overflow."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    normalised: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return normalised


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logistic function, by tanh so that it cannot overflow."""
    halves: NDArray[np.float32] = 0.5 * (np.tanh(0.5 * logits) + 1)
    return halves


def scores(logits: NDArray[np.float32], spec: Spec) -> NDArray[np.float32]:
    """Calibrated scores in 0..1 of the same shape: logits over the temperature, then softmax or sigmoid by task.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    scaled = logits / np.float32(spec.temperature)
    return softmax(scaled) if spec.task == "multiclass" else sigmoid(scaled)


def top_k(rows: NDArray[np.float32], spec: Spec, options: Sequence[Options]) -> list[tuple[Prediction, ...]]:
    """The best classes of each row of scores [N, classes], as many as its options want, best first.

    Ties go to the lower index; what scores below `min_score` is left out.
    """
    most = max(wanted.top_k for wanted in options)
    order = np.argsort(-rows, axis=1, kind="stable")[:, :most]
    # As plain numbers from here on: one conversion of each array costs less than one of each element.
    best = zip(order.tolist(), np.take_along_axis(rows, order, axis=1).tolist(), options, strict=True)
    return [
        tuple(
            [
                Prediction(spec.labels[index], index, score)
                for index, score in zip(indices[: wanted.top_k], values, strict=False)
                if score >= wanted.min_score
            ]
        )
        for indices, values, wanted in best
    ]
