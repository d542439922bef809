"""Temperature scaling: one number that makes scores honest and changes no decision.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.core.spec import Task

#: Range of temperatures. At its ends the data says "as sure as possible" or "knows nothing".
LOWEST, HIGHEST = 0.05, 20.0
_STEPS = 60


def temperature(logits: NDArray[np.float32], targets: NDArray[np.generic], task: Task) -> float:
    """The temperature that minimises the negative log-likelihood of `logits / temperature`, in LOWEST..HIGHEST.

    `logits` [N, classes]; `targets` int [N] of class indices for "multiclass", else 0/1 [N, classes]. The likelihood
    is convex in the inverse temperature, so bisection on the sign of its slope finds the minimum.
    """
    cold, hot = 1 / HIGHEST, 1 / LOWEST
    values = logits.astype(np.float64)
    for _ in range(_STEPS):
        inverse = (cold * hot) ** 0.5
        if _slope(inverse, values, targets, task) < 0:
            cold = inverse
        else:
            hot = inverse
    return float(1 / (cold * hot) ** 0.5)


def _slope(inverse: float, logits: NDArray[np.float64], targets: NDArray[np.generic], task: Task) -> float:
    """Derivative of the mean negative log-likelihood by the inverse temperature."""
    scaled = logits * inverse
    if task == "multiclass":
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        expected = (powers * logits).sum(axis=1) / powers.sum(axis=1)
        chosen = logits[np.arange(len(logits)), targets.astype(np.int64)]
        return float(np.mean(expected - chosen))
    likely = 0.5 * (np.tanh(0.5 * scaled) + 1)
    return float(np.mean((likely - targets.astype(np.float64)) * logits))
