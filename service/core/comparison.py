"""How far two networks are apart, layer by layer, on the same pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.graph import Array, Graph
from service.core.layers import LayerInfo
from service.core.maps import as_maps
from service.core.spec import Layer

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """One layer of two networks, over all pictures.

    `max_abs`, `relative` (L2 of the difference over that of the first), `cosine` and `sqnr_db`, the signal-to-noise
    ratio in decibels (infinite when equal), compare unit by unit; they are NaN where the shapes differ. `cka` compares
    what is represented, whatever the order of channels: linear centred kernel alignment, 0..1, over `cka_images`
    pictures (Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019); NaN for fewer
    than 3. `worst` channels have the lowest ratios. `drop_db` is what the layer lost against its inputs, NaN for the
    first ones.
    """

    layer: str
    shape: tuple[int, ...]
    other_shape: tuple[int, ...]
    max_abs: float
    relative: float
    cosine: float
    sqnr_db: float
    cka: float
    cka_images: int
    worst: tuple[tuple[int, float], ...] = ()
    drop_db: float = math.nan


class Compared:
    """Takes one layer's values of both networks, batch by batch.

    The representations of the first pictures are kept for `cka`, at most `keep_bytes` of each network.
    """

    def __init__(self, layer: str, keep_bytes: int) -> None:
        self._layer = layer
        self._keep_bytes = keep_bytes
        self._shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        self._sums: NDArray[np.float64] | None = None  # of squares, other squares, products, noise; per channel
        self._max_abs = 0.0
        self._kept: tuple[list[Array], list[Array]] = ([], [])

    def add(self, one: Array, other: Array) -> None:
        """The same pictures through both, [pictures, ...]."""
        self._shapes = (one.shape[1:], other.shape[1:])
        for first, second in zip(one, other, strict=True):
            if first.shape == second.shape:
                self._add(as_maps(first).astype(np.float64), as_maps(second).astype(np.float64))
            if (len(self._kept[0]) + 1) * max(first.nbytes, second.nbytes) <= self._keep_bytes:
                self._kept[0].append(first.ravel())
                self._kept[1].append(second.ravel())

    def result(self) -> LayerDifference:
        """What was found."""
        kept = len(self._kept[0])
        cka = linear_cka(np.stack(self._kept[0]), np.stack(self._kept[1])) if kept > 2 else math.nan
        if self._sums is None:
            unlike = math.nan
            return LayerDifference(self._layer, *self._shapes, unlike, unlike, unlike, unlike, cka, kept)
        squares, others, products, noise = (float(row.sum()) for row in self._sums)
        ratios = [(c, sqnr_db(float(s), float(n))) for c, (s, n) in enumerate(self._sums[[0, 3]].T)]
        return LayerDifference(
            self._layer,
            *self._shapes,
            max_abs=self._max_abs,
            relative=math.sqrt(noise / squares) if squares else (0.0 if noise == 0 else math.inf),
            cosine=products / math.sqrt(squares * others) if squares * others > 0 else math.nan,
            sqnr_db=sqnr_db(squares, noise),
            cka=cka,
            cka_images=kept,
            worst=tuple(sorted(ratios, key=lambda each: each[1])[:_SHOWN]),
        )

    def _add(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        one, other = one.reshape(len(one), -1), other.reshape(len(other), -1)
        gap = one - other
        pairs = ((one, one), (other, other), (one, other), (gap, gap))
        sums = np.array([np.einsum("cu,cu->c", first, second) for first, second in pairs])
        self._sums = sums if self._sums is None else self._sums + sums
        # A NaN on either side is a difference; `maximum` passes it on.
        self._max_abs = float(np.maximum(self._max_abs, np.abs(gap).max()))


def sqnr_db(signal: float, noise: float) -> float:
    """Signal-to-quantisation-noise ratio of two sums of squares, in decibels; -inf where either is no number."""
    if noise == 0:
        return math.inf
    if not (math.isfinite(signal) and math.isfinite(noise)) or signal == 0:
        return -math.inf
    return 10 * math.log10(signal / noise)


def linear_cka(one: Array, other: Array) -> float:
    """Linear centred kernel alignment of representations [pictures, features]; NaN where one never changes."""
    grams = []
    for each in (one, other):
        centred = each.astype(np.float64) - each.mean(axis=0, dtype=np.float64)
        grams.append(centred @ centred.T)
    product = math.sqrt(float(np.sum(grams[0] ** 2)) * float(np.sum(grams[1] ** 2)))
    return float(np.sum(grams[0] * grams[1])) / product if product > 0 else math.nan


def with_drops(
    graph: Graph, layers: Sequence[Layer | LayerInfo], found: Mapping[str, LayerDifference]
) -> Mapping[str, float]:
    """What each compared layer lost against the compared layers that it takes, in decibels, by its id."""
    ratios = {layer.tensor: found[layer.id].sqnr_db for layer in layers if layer.id in found}
    drops: dict[str, float] = {}
    for layer in layers:
        before = [ratios[name] for name in _sources(graph, layer.tensor, ratios)]
        if layer.id in found and before and math.isfinite(min(before)):
            drops[layer.id] = min(before) - found[layer.id].sqnr_db
    return drops


def first_diverging(
    graph: Graph, layers: Sequence[Layer | LayerInfo], found: Mapping[str, LayerDifference], threshold_db: float
) -> str:
    """The layer with the first tensor, in the order of the graph, below the threshold; "" where none is.

    Of layers with the same output, the innermost. A layer of other shape diverges.
    """
    names = {layer.tensor: layer.id for layer in layers if layer.id in found}
    for node in graph.nodes:
        if node.output in names and not found[names[node.output]].sqnr_db >= threshold_db:
            return names[node.output]
    return ""


def _sources(graph: Graph, tensor: str, known: Mapping[str, float]) -> set[str]:
    """The nearest known tensors that a tensor is computed from."""
    producers = graph.producers()
    found: set[str] = set()
    seen: set[str] = set()
    todo = list(producers[tensor].needs) if tensor in producers else []
    while todo:
        name = todo.pop()
        if name in known:
            found.add(name)
        elif name in producers and name not in seen:
            seen.add(name)
            todo.extend(producers[name].needs)
    return found
