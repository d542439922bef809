"""Labelled images in memory, and how they are divided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Images:
    """Pixels uint8 [N, height, width, channels] and what they show.

    `targets` is int64 [N], the class index, for a softmax head; float32 [N, labels] of zeros and ones for sigmoid.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64] | NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, keys: NDArray[np.bool_] | slice) -> Images:
        return Images(self.pixels[keys], self.targets[keys])


@dataclass(frozen=True, slots=True)
class Splits:
    """Weights come from `train`, choices from `validation`; `test` is read once, when the choice is made."""

    train: Images
    validation: Images
    test: Images | None


def held_out(targets: NDArray[np.integer], share: float) -> NDArray[np.bool_]:
    """Mark `share` of each class, evenly spaced in the order of the data: stratified, and the same on every machine.

    Item `i` of a class of `targets` [N] is marked when floor((i + 1) * share) > floor(i * share).
    Raises `InvalidInput` when a class is too small to have an item on either side.
    """
    marked = np.zeros(len(targets), bool)
    for label in np.unique(targets):
        (members,) = np.nonzero(targets == label)
        # The sum is nudged so that 1/12 * 12 counts as 1 in spite of rounding.
        steps = np.floor(np.arange(len(members) + 1) * share + 1e-9)
        chosen = members[np.diff(steps) > 0]
        if share > 0 and len(chosen) in (0, len(members)):
            raise InvalidInput("validation", f"a share of {share} must split class {label}, which has", len(members))
        marked[chosen] = True
    return marked
