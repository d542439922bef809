"""Drift of what is served: the channel means of the last pictures, beside those of export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.drift import ENOUGH, Profile, drift
from service.core.layers import pattern
from service.core.spec import Layer

#: Layers of one version that are watched at most: each is a series.
MAX_LAYERS = 16
#: As many are watched where nobody chose any.
DEFAULT_LAYERS = 4


@dataclass(frozen=True, slots=True)
class LayerDrift:
    """How far a layer went: the share of its channels that drifted, and how far the farthest one, both 0..1.

    `ks` is a Kolmogorov-Smirnov statistic, told also while there are too few pictures to conclude anything.
    """

    share: float
    ks: float


class Window:
    """The means of the last `size` pictures by layer, and how far they are from the profile's."""

    def __init__(self, profile: Profile, layers: Sequence[str], size: int) -> None:
        self._profile = profile
        channels = {layer: profile.quantiles[layer].shape[1] for layer in layers}
        self._means = {layer: np.empty((size, count), np.float32) for layer, count in channels.items()}
        self._size = size
        self._seen = 0

    @property
    def images(self) -> int:
        """How many pictures it holds."""
        return min(self._seen, self._size)

    @property
    def due(self) -> bool:
        """Whether so many pictures have come since the last time that it is worth comparing again."""
        return self._seen > 0 and self._seen % ENOUGH == 0

    def add(self, means: Mapping[str, NDArray[np.floating]]) -> None:
        """One more picture, [channels] of each layer; the oldest one leaves when it is full."""
        for layer, values in means.items():
            self._means[layer][self._seen % self._size] = values
        self._seen += 1

    def compare(self) -> Mapping[str, LayerDrift]:
        """How far each layer is from what it was."""
        return {layer: self._layer(layer, means[: self.images]) for layer, means in self._means.items()}

    def _layer(self, layer: str, means: NDArray[np.float32]) -> LayerDrift:
        found = drift(means, self._profile.quantiles[layer], self._profile.images)
        return LayerDrift(found.channels / means.shape[1], found.worst[0].ks)


def watched(layers: Sequence[Layer], known: Profile, patterns: Sequence[str]) -> tuple[Layer, ...]:
    """Which layers to watch, of those in the profile: all that match a pattern, or some from the first to the last.

    A layer stands for the one in the profile that has the same output. Of more than `MAX_LAYERS` that match, so many,
    evenly spread. Raises `InvalidInput` for an empty pattern.
    """
    offered = {layer.tensor: layer for layer in layers if layer.id in known.quantiles}
    if not patterns:
        return _spread([*offered.values()], DEFAULT_LAYERS)
    wanted = [pattern(text, f"drift_layers[{place}]", named=True) for place, text in enumerate(patterns)]
    matching = {layer.tensor for layer in layers if any(one.fullmatch(layer.id) for one in wanted)}
    return _spread([layer for tensor, layer in offered.items() if tensor in matching], MAX_LAYERS)


def _spread(layers: Sequence[Layer], count: int) -> tuple[Layer, ...]:
    """So many of them at most: the first, the last, and some between."""
    if len(layers) <= count:
        return tuple(layers)
    places = np.linspace(0, len(layers) - 1, count).round().astype(int).tolist()
    return tuple(layers[place] for place in places)
