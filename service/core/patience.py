"""When a batch counts as stuck: its like never takes so long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """A batch is stuck after `factor` times the p99 of what batches of its model took, but not before `least_s`."""

    factor: float = 10.0
    least_s: float = 5.0

    def limit_s(self, took_s: Sequence[float]) -> float:
        """The age in seconds at which a batch is stuck, where the ones before took `took_s` seconds each."""
        return max(self.least_s, self.factor * _p99(took_s))


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1] if values else 0.0
