"""Whether a layer sees other things than it did: per-image channel means against a profile stored with the model.

Means of whole images are compared, not pixels, which are no independent observations. Two measures must agree: the
population stability index, whose rule of 0.25 for "major shift" is raised where few images would exceed it by chance
(Yurdakul, "Statistical Properties of Population Stability Index", 2018: it is chi-squared times 1/n + 1/m), and the
two-sample Kolmogorov-Smirnov statistic, at a level that allows for the number of channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.core.graph import Array
from service.core.maps import as_maps

#: Rows of a profile: the quantiles 0, 1/32, ... 1 of each channel's means.
QUANTILES = 33
#: Fewer images say nothing about a distribution.
ENOUGH = 50
MAJOR = 0.25
_BINS = 10
_CHI_SQUARED = 27.877  # the 0.999 quantile for _BINS - 1 degrees of freedom
_LEVEL = 0.001
_POINTS = 10 * (QUANTILES - 1)  # that stand for the profile's distribution
_SAME = 1e-4  # relative: kernels differ in the last bits, and a constant must stay one
_SHOWN = 5

Means = NDArray[np.floating]  # [images, channels]


@dataclass(frozen=True, slots=True)
class Profile:
    """What layers gave on `images` pictures at export: by layer, quantiles [QUANTILES, channels] of the means."""

    images: int
    quantiles: Mapping[str, NDArray[np.float32]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChannelDrift:
    """How far one channel went."""

    channel: int
    psi: float
    ks: float  #: 0..1


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a layer went. `channels` of it drifted; `worst` come first by the Kolmogorov-Smirnov statistic.

    With fewer than `ENOUGH` images on either side the numbers are told, but nothing is concluded.
    """

    images: int
    reference_images: int
    channels: int
    worst: tuple[ChannelDrift, ...]

    @property
    def enough(self) -> bool:
        """Whether there are images enough to conclude anything."""
        return min(self.images, self.reference_images) >= ENOUGH


def channel_means(picture: Array) -> NDArray[np.float64]:
    """What is compared: one picture's output of a layer, as its means [channels]."""
    found: NDArray[np.float64] = as_maps(picture).mean(axis=(1, 2), dtype=np.float64)
    return found


def quantiles(means: Means) -> NDArray[np.float32]:
    """Means [images, channels] as a row of a profile, [QUANTILES, channels]."""
    found: NDArray[np.float32] = np.quantile(means, np.linspace(0, 1, QUANTILES), axis=0).astype(np.float32)
    return found


def drift(means: Means, reference: NDArray[np.float32], reference_images: int) -> Drift:
    """Compare means [images, channels] with a layer's quantiles in a profile."""
    images, channels = means.shape
    found = [ChannelDrift(c, *_measures(means[:, c], reference[:, c])) for c in range(channels)]
    psi_limit, ks_limit = _limits(images, reference_images, channels)
    far = [each for each in found if each.psi > psi_limit and each.ks > ks_limit]
    worst = sorted(found, key=lambda each: (-each.ks, -each.psi))[:_SHOWN]
    enough = min(images, reference_images) >= ENOUGH
    return Drift(images, reference_images, len(far) if enough else 0, tuple(worst))


def _limits(images: int, reference_images: int, channels: int) -> tuple[float, float]:
    """What the two measures exceed by chance once in a thousand layers."""
    share = 1 / images + 1 / reference_images
    return max(MAJOR, _CHI_SQUARED * share), math.sqrt(-0.5 * math.log(_LEVEL / (2 * channels)) * share)


def _measures(means: Means, reference: NDArray[np.float32]) -> tuple[float, float]:
    """Population stability index and Kolmogorov-Smirnov statistic of one channel."""
    points = np.interp(np.linspace(0, 1, _POINTS + 1), np.linspace(0, 1, QUANTILES), reference)
    values = _snapped(np.where(np.isfinite(means), means, np.inf).astype(np.float64), points)
    return _stability(values, points), _distance(values, points)


def _snapped(values: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with those that are equal to the nearest point of the profile, but for rounding, made equal."""
    low, high = points[0], points[-1]
    room = _SAME * max(abs(low), abs(high))
    for edge in (low, high):
        values = np.where(np.abs(values - edge) <= room, edge, values)
    return values


def _stability(values: NDArray[np.float64], points: NDArray[np.float64]) -> float:
    edges = np.unique(np.quantile(points, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = [_shares(np.searchsorted(edges, each, side="left"), len(edges) + 1) for each in (values, points)]
    return float(np.sum((shares[0] - shares[1]) * np.log(shares[0] / shares[1])))


def _shares(bins: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """The share of each bin; half an observation more in each, so that an empty one has a logarithm."""
    counts = np.bincount(bins, minlength=count) + 0.5
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def _distance(values: NDArray[np.float64], points: NDArray[np.float64]) -> float:
    """The largest difference of the two cumulative distributions."""
    at = np.concatenate([values, points])
    one, other = (np.searchsorted(np.sort(each), at, side="right") / len(each) for each in (values, points))
    return float(np.abs(one - other).max())
