"""Which part of a layer's output is looked at: channels, a region, and which statistics of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput
from service.core.geometry import Box, Field, Size
from service.core.graph import Array

Maps = NDArray[np.floating]  # [channels, height, width]


class Key(Enum):
    """What channels are ranked by."""

    MEAN = "mean"
    MAX = "max"
    L2 = "l2"
    STD = "std"
    CONTRIBUTION = "contribution"  #: to the logit of a class


@dataclass(frozen=True, slots=True)
class TopK:
    """The `k` first channels by a key, the largest first; `class_index` is for CONTRIBUTION."""

    k: int
    key: Key = Key.MEAN
    class_index: int = 0
    ascending: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Channels from `start` up to `end`, not included; 0 means to the last."""

    start: int = 0
    end: int = 0


#: None: all of them.
Channels = tuple[int, ...] | Span | TopK | None


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of units, or of the input's pixels: then the units that see any of it."""

    box: Box
    of_input: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of each layer is returned, and which statistics; `per_channel` asks for one row a channel."""

    channels: Channels = None
    region: Region | None = None
    per_channel: bool = False
    percentiles: bool = False
    histogram: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen channels of the chosen region. `values` [channels, height, width]; `box` in units."""

    values: Array
    channels: tuple[int, ...]
    box: Box

    def same_of(self, maps: Array) -> Array:
        """The same channels and region of other maps [channels, height, width]."""
        return maps[list(self.channels), self.box.y0 : self.box.y1, self.box.x0 : self.box.x1]


def as_maps(values: Array) -> Array:
    """One picture's output of a layer as [channels, height, width]: a vector is as many maps of one unit."""
    return values.reshape(maps_shape(values.shape))


def maps_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape that `as_maps` gives to an output of `shape`."""
    if len(shape) <= 1:
        return (math.prod(shape), 1, 1)
    return (math.prod(shape[:-2]), shape[-2], shape[-1])


def choose(maps: Array, wanted: Wanted, field: Field | None, weights: Array | None) -> Selection:
    """Cut what is wanted out of [channels, height, width].

    `weights` [channels] are what a class's logit multiplies the mean of each channel with, None where the logit is
    no such sum. Raises `InvalidInput`.
    """
    box = units(maps.shape[1:], wanted.region, field)
    order = ranked(maps, wanted.channels, weights)
    # A list of indices copies; all channels in order need none.
    chosen = maps if wanted.channels is None else maps[list(order)]
    return Selection(chosen[:, box.y0 : box.y1, box.x0 : box.x1], order, box)


def units(grid: Size | tuple[int, ...], region: Region | None, field: Field | None) -> Box:
    """The region in units of a map of `grid`; raises `InvalidInput` when it holds none."""
    size = (int(grid[0]), int(grid[1]))
    if region is None:
        return Box(0, 0, *size)
    if region.of_input and field is None:
        raise InvalidInput("region.space", "FEATURE for a layer whose receptive field is not known", "INPUT")
    inside = field.units(region.box, size) if region.of_input and field else region.box.clipped(size)
    if not all(side > 0 for side in inside.size):
        raise InvalidInput("region", f"must hold a unit of the {size[0]} x {size[1]} map", region.box)
    return inside


def count(channels: int, wanted: Channels) -> int:
    """How many of `channels` are wanted, before any value is known; raises `InvalidInput`."""
    match wanted:
        case None:
            return channels
        case TopK(k=k):
            if k < 1:
                raise InvalidInput("channels.top_k.k", "at least 1", k)
            return min(k, channels)
        case Span(start, end):
            stop = min(end or channels, channels)
            if not 0 <= start < stop:
                raise InvalidInput("channels.range", f"must hold one of {channels} channels", f"{start}..{end}")
            return stop - start
        case _:
            for index in wanted:
                if not 0 <= index < channels:
                    raise InvalidInput("channels.indices", f"0 to {channels - 1}", index)
            return len(wanted)


@cache
def first(number: int) -> tuple[int, ...]:
    """The indices of so many channels: layers have few different numbers of them, and every answer lists them."""
    return tuple(range(number))


def ranked(maps: Array, wanted: Channels, weights: Array | None) -> tuple[int, ...]:
    """The indices of the wanted channels, the first first; raises `InvalidInput`."""
    number = count(len(maps), wanted)
    match wanted:
        case None:
            return first(number)
        case Span(start, _):
            return tuple(range(start, start + number))
        case TopK():
            scores = _scores(maps, wanted, weights)
            order = np.argsort(scores if wanted.ascending else -scores, kind="stable")
            return tuple(int(index) for index in order[:number])
        case _:
            return wanted


def _scores(maps: Array, top: TopK, weights: Array | None) -> NDArray[np.float64]:
    """One number a channel to rank by; a channel without a finite value comes last."""
    finite = np.where(np.isfinite(maps), maps, np.nan).astype(np.float64).reshape(len(maps), -1)
    hollow = ~np.isfinite(finite).any(axis=1)
    finite[hollow] = 0
    match top.key:
        case Key.MEAN:
            scores: NDArray[np.float64] = np.nanmean(finite, axis=1)
        case Key.MAX:
            scores = np.nanmax(finite, axis=1)
        case Key.STD:
            scores = np.nanstd(finite, axis=1)
        case Key.L2:
            scores = np.sqrt(np.nansum(finite**2, axis=1))
        case _:  # CONTRIBUTION
            scores = np.nanmean(finite, axis=1) * _class_weights(weights)
    scores[hollow] = np.inf if top.ascending else -np.inf
    return scores


def _class_weights(weights: Array | None) -> Array:
    if weights is None:
        limit = (
            "MEAN, MAX, L2 or STD: contributions are exact only in front of global average pooling and one dense layer"
        )
        raise InvalidInput("channels.top_k.key", limit, "CONTRIBUTION")
    return weights
