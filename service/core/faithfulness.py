"""Whether a map of evidence is right: reveal or remove the pixels that it names first, and watch the class's score.

Insertion and deletion: Petsiuk, Das & Saenko, "RISE", BMVC 2018. Masked pictures are not what the network was trained
on, so a score alone means little; it is to be read next to that of random maps of the same grain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput
from service.core.perturbation import Masks


@dataclass(frozen=True, slots=True)
class Check:
    """How thoroughly: `steps` pictures a curve, `controls` random maps. Raises `InvalidInput`."""

    steps: int = 30
    controls: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 1000:
            raise InvalidInput("check.steps", "1 to 1000", self.steps)
        if not 1 <= self.controls <= 100:
            raise InvalidInput("check.controls", "1 to 100", self.controls)

    @property
    def runs(self) -> int:
        """Pictures that go through the network: two curves for the map and for each control."""
        return 2 * (self.steps + 1) * (1 + self.controls)

    def controls_like(self, values: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
        """Random maps of the same shape."""
        random = np.random.default_rng(self.seed)
        return (random.random(values.shape) for _ in range(self.controls))


@dataclass(frozen=True, slots=True)
class Curves:
    """The class's score, 0..1, while pixels appear in a blurred picture, or blur in a sharp one.

    The most telling first; one number a step, from no pixel to all of them.
    """

    insertion: tuple[float, ...]
    deletion: tuple[float, ...]

    @property
    def insertion_area(self) -> float:
        """0..1, higher is better."""
        return area(self.insertion)

    @property
    def deletion_area(self) -> float:
        """0..1, lower is better."""
        return area(self.deletion)


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """The map's curves, and for comparison those of random maps."""

    map: Curves
    controls: tuple[Curves, ...]


def ranks(evidence: NDArray[np.floating]) -> NDArray[np.int64]:
    """At which place each pixel comes, 0 for the one with most evidence; equal ones row by row."""
    places = np.empty(evidence.size, np.int64)
    places[np.argsort(-evidence.ravel(), kind="stable")] = np.arange(evidence.size)
    return places.reshape(evidence.shape)


def revealing(places: NDArray[np.int64], shares: NDArray[np.floating]) -> Masks:
    """Masks [shares, height, width] that show the first so many of all pixels."""
    limits = np.rint(shares * places.size).reshape(-1, 1, 1)
    masks: Masks = (places < limits).astype(np.float32)
    return masks


def area(curve: Sequence[float]) -> float:
    """Under a curve over 0..1, by trapezoids."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))
