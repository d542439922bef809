"""Whether a layer does its work: what its channels did over a set of pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core import anatomy
from service.core.drift import Drift, Profile, drift
from service.core.graph import Array, Graph, Node
from service.core.layers import LayerInfo, Role
from service.core.maps import as_maps
from service.core.quantised import Integers
from service.core.statistics import Statistics

#: Pictures from which on a channel that never spoke is called dead; before, it was only silent.
DEAD_FROM = 32
#: Share of a channel's values at the ends of its range that makes it saturated.
SATURATED = 0.5
_NEAR = 0.01  # of the range, for functions that only come near their ends

_ENDS: Mapping[str, tuple[float, float]] = {
    "Sigmoid": (0, 1),
    "HardSigmoid": (0, 1),
    "Tanh": (-1, 1),
    "Softsign": (-1, 1),
}
_RECTIFIERS = frozenset({"Relu", "Clip", "ThresholdedRelu"})


@dataclass(frozen=True, slots=True)
class Ends:
    """Where values cannot go further, and how near counts. An end at which a rectifier rests is none: None."""

    low: float | None
    high: float | None
    near: float


@dataclass(frozen=True, slots=True)
class LayerHealth:
    """One layer over all pictures.

    `silent` channels of a rectifier gave nothing but 0, `constant` ones of other layers nothing but one value; from
    `DEAD_FROM` pictures on they are dead. `saturation` is the share of values at an end of the range, None for a layer
    without one; `saturated` channels have a share of `SATURATED` or more. `sparsity` is the share of zeros.
    """

    layer: LayerInfo
    images: int
    statistics: Statistics
    sparsity: float
    silent: tuple[int, ...]
    constant: tuple[int, ...]
    saturation: float | None
    saturated: tuple[int, ...]
    drift: Drift | None

    @property
    def not_finite(self) -> int:
        """Values that are NaN or infinite."""
        return self.statistics.count - self.finite

    @property
    def finite(self) -> int:
        """Values that are numbers."""
        seen = self.statistics
        return seen.count - seen.nans - seen.positive_infinities - seen.negative_infinities


class Examined:
    """Takes a layer's values picture by picture; keeps sums per channel, and each picture's channel means."""

    def __init__(self, layer: LayerInfo, ends: Ends | None) -> None:
        self._layer = layer
        self._ends = ends
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._low = np.array(math.inf)
        self._high = np.array(-math.inf)
        self._means: list[NDArray[np.float64]] = []
        self._per_channel = 0

    @property
    def is_finite(self) -> bool:
        """Whether all values so far were numbers."""
        return not self._sums or float(sum(self._sums[key].sum() for key in ("nans", "above", "below"))) == 0

    @property
    def means(self) -> NDArray[np.float64]:
        """Channel means per picture, [pictures, channels], of finite values; NaN where there was none."""
        return np.stack(self._means)

    def add(self, values: Array) -> None:
        """One batch, [pictures, ...]."""
        for picture in values:
            self._add(as_maps(picture))

    def report(self, profile: Profile | None) -> LayerHealth:
        """What was seen; at least one picture must have been."""
        sums, layer = self._sums, self._layer
        known = profile.quantiles.get(layer.id) if profile else None
        still = np.flatnonzero((self._high - self._low <= 0) & (sums["finite"] == self._per_channel))
        rectifies = is_rectifier(layer)
        at_end = sums["ends"] / self._per_channel
        # One value alone proves nothing; and what only changes shapes has no channels of its own, but single places.
        told = still[:0] if self._per_channel == 1 or Role.RESHAPE in layer.roles else still
        statistics = self._statistics()
        return LayerHealth(
            layer=layer,
            images=len(self._means),
            statistics=statistics,
            sparsity=statistics.zeros / statistics.count,
            silent=tuple(int(c) for c in told if rectifies and self._high[c] == 0),
            constant=tuple(int(c) for c in told if not rectifies),
            saturation=None if self._ends is None else float(at_end.mean()),
            saturated=tuple(np.flatnonzero(at_end >= SATURATED).tolist()) if self._ends else (),
            drift=None if known is None or profile is None else drift(self.means, known, profile.images),
        )

    def _add(self, maps: Array) -> None:
        numbers = maps.reshape(len(maps), -1).astype(np.float64)
        is_finite = np.isfinite(numbers)
        clean = numbers if is_finite.all() else np.where(is_finite, numbers, np.nan)
        some = is_finite.sum(axis=1)
        filled = np.where(is_finite, numbers, 0.0)
        total = filled.sum(axis=1)
        news = {
            "finite": some,
            "zeros": (numbers == 0).sum(axis=1),
            "nans": np.isnan(numbers).sum(axis=1),
            "above": np.isposinf(numbers).sum(axis=1),
            "below": np.isneginf(numbers).sum(axis=1),
            "total": total,
            "squares": np.square(filled).sum(axis=1),
            "ends": _at_ends(clean, self._ends),
        }
        self._sums = {key: self._sums.get(key, 0.0) + value for key, value in news.items()}
        self._low = np.minimum(self._low, np.where(is_finite, numbers, np.inf).min(axis=1))
        self._high = np.maximum(self._high, np.where(is_finite, numbers, -np.inf).max(axis=1))
        self._means.append(np.divide(total, some, out=np.full(len(maps), np.nan), where=some > 0))
        self._per_channel += numbers.shape[1]

    def _statistics(self) -> Statistics:
        sums = {key: float(values.sum()) for key, values in self._sums.items()}
        finite = sums["finite"]
        mean = sums["total"] / finite if finite else math.nan
        return Statistics(
            count=self._per_channel * len(self._low),
            nans=int(sums["nans"]),
            positive_infinities=int(sums["above"]),
            negative_infinities=int(sums["below"]),
            zeros=int(sums["zeros"]),
            mean=mean,
            std=math.sqrt(max(sums["squares"] / finite - mean**2, 0.0)) if finite else math.nan,
            min=float(self._low.min()) if finite else math.nan,
            max=float(self._high.max()) if finite else math.nan,
            l2=math.sqrt(sums["squares"]) if finite else math.nan,
        )


def ends(graph: Graph, layer: LayerInfo, integers: Mapping[str, Integers]) -> Ends | None:
    """Where a layer's values cannot go further: of INT8 its integers' range, else that of its function; or None."""
    if layer.tensor in integers:
        return _integer_ends(integers[layer.tensor])
    node = graph.producers().get(layer.tensor)
    if node is None:
        return None
    if node.op in _ENDS:
        low, high = _ENDS[node.op]
        return Ends(low, high, _NEAR * (high - low))
    return _clip_ends(graph, node) if node.op == "Clip" else None


def is_rectifier(layer: LayerInfo) -> bool:
    """Whether a layer cuts its values off at 0, so that 0 says nothing came through."""
    return Role.BLOCK not in layer.roles and not _RECTIFIERS.isdisjoint(layer.ops)


def first_bad(graph: Graph, layers: Sequence[LayerInfo], bad: Mapping[str, bool]) -> LayerInfo | None:
    """The layer with the first tensor, in the order of the graph, that is not finite: what it took in was.

    `bad` says of tensors whether they hold NaN or infinities. Of layers with the same output, the innermost.
    """
    names = {layer.tensor: layer for layer in layers}
    for node in graph.nodes:
        if bad.get(node.output):
            return names.get(node.output)
    return None


def bad_weights(graph: Graph, layer: LayerInfo) -> int:
    """How many of a layer's constants are NaN or infinite."""
    names = {name for node in anatomy.members(graph, layer) for name in node.inputs if name in graph.constants}
    values = (graph.constants[name] for name in names)
    return sum(int((~np.isfinite(each)).sum()) for each in values if np.issubdtype(each.dtype, np.floating))


def _at_ends(values: NDArray[np.float64], ends: Ends | None) -> NDArray[np.float64]:
    """How many values of each channel are at an end."""
    found = np.zeros(values.shape, bool)
    if ends is not None and ends.low is not None:
        found |= values <= ends.low + ends.near
    if ends is not None and ends.high is not None:
        found |= values >= ends.high - ends.near
    counts: NDArray[np.float64] = found.sum(axis=1).astype(np.float64)
    return counts


def _integer_ends(integers: Integers) -> Ends | None:
    if integers.scale.size != 1:
        return None
    limits = np.iinfo(integers.zero_point.dtype)
    scale, zero = float(integers.scale.item()), int(integers.zero_point.item())
    low, high = scale * (limits.min - zero), scale * (limits.max - zero)
    return Ends(low or None, high or None, scale / 2)


def _clip_ends(graph: Graph, node: Node) -> Ends:
    low, high = (_bound(graph, node, position, name) for position, name in ((1, "min"), (2, "max")))
    size = high - low if low is not None and high is not None else 0.0
    return Ends(low or None, high or None, _NEAR * size)


def _bound(graph: Graph, node: Node, position: int, attribute: str) -> float | None:
    if len(node.inputs) > position and node.inputs[position] in graph.constants:
        return float(graph.constants[node.inputs[position]].item())
    return node.number(attribute, 0.0) if attribute in node.attributes else None
