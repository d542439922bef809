"""What the values of a layer or channel look like: counts, moments and extremes, in one walk over memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from service.core.graph import Array

HISTOGRAM_BINS = 32
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

_PIECE = 1 << 18  # values: 1 MB in float32, about what the second cache of a core holds
_ROW = 1 << 11  # values summed in float32 at once; of more than 10,000, OpenBLAS takes threads and cores of its own
_ONES: Mapping[type[np.generic], Array] = {kind: np.ones(_ROW, kind) for kind in (np.float32, np.float64)}
#: Between these magnitudes, sums of float32 squares neither overflow nor lose what matters.
_LEAST, _MOST = 1e-15, 1e15
#: Of the mean square: a variance above this share of it may be told from sums about zero, without cancellation.
_WIDE = 0.25


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the values of one layer or channel; all but the counts are of the finite ones, NaN if there are none.

    `percentiles` are those of `PERCENTILES`; `histogram` counts the finite values in equal bins from min to max.
    """

    count: int
    nans: int
    positive_infinities: int
    negative_infinities: int
    zeros: int
    mean: float
    std: float
    min: float
    max: float
    l2: float
    percentiles: tuple[float, ...] = ()
    histogram: tuple[int, ...] = ()


def statistics(values: Array, *, percentiles: bool = False, histogram: bool = False) -> Statistics:
    """The statistics of values of any shape.

    Counts, `min` and `max` are exact. Of float32 values, `mean` is within 1e-6 of the root mean square, `l2` within
    1e-6 of itself, `std` within 1e-5 of itself and 1e-6 of the root mean square; others are summed in float64.
    """
    numbers = values.ravel()
    sums = _sums(numbers)
    if sums.are_precise:
        seen = _of_sums(sums, (0, 0, 0))
        finite = numbers
    else:  # only then is a look at every value worth its time
        finite = numbers[np.isfinite(numbers)].astype(np.float64)
        tests = (np.isnan, np.isposinf, np.isneginf)
        seen = _of_sums(_sums(finite), tuple(int(np.count_nonzero(test(numbers))) for test in tests))
    if not finite.size or not (percentiles or histogram):
        return seen
    return replace(
        seen,
        percentiles=tuple(np.percentile(finite, PERCENTILES).tolist()) if percentiles else (),
        histogram=tuple(np.histogram(finite, HISTOGRAM_BINS)[0].tolist()) if histogram else (),
    )


def with_zeros(seen: Statistics, zeros: int) -> Statistics:
    """The statistics of the same values and so many zeros beside them; without percentiles and histogram."""
    strange = (seen.nans, seen.positive_infinities, seen.negative_infinities)
    finite = seen.count - sum(strange)
    sums = _Sums(finite, seen.zeros, seen.mean * finite, seen.std**2 * finite, seen.min, seen.max)
    return _of_sums(sums.joined(_Sums(zeros, zeros, low=0.0, high=0.0)), strange) if zeros else seen


def _of_sums(sums: _Sums, strange: tuple[int, ...]) -> Statistics:
    """`strange` are the numbers of NaN, infinities and negative infinities beside what was summed."""
    nans, positive_infinities, negative_infinities = strange
    mean = sums.total / sums.size if sums.size else math.nan
    return Statistics(
        count=sums.size + sum(strange),
        nans=nans,
        positive_infinities=positive_infinities,
        negative_infinities=negative_infinities,
        zeros=sums.zeros,
        mean=mean,
        std=math.sqrt(sums.squares / sums.size) if sums.size else math.nan,
        min=sums.low if sums.size else math.nan,
        max=sums.high if sums.size else math.nan,
        l2=math.sqrt(sums.squares + sums.size * mean * mean) if sums.size else math.nan,
    )


class _Sums(NamedTuple):
    """Of some values; `squares` are those of their distances from their mean."""

    size: int = 0
    zeros: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @property
    def are_precise(self) -> bool:
        """Whether all values are finite, and of a size whose squares float32 holds."""
        peak = max(-self.low, self.high)
        return math.isfinite(self.total) and (peak == 0 or _LEAST <= peak <= _MOST)

    def joined(self, other: _Sums) -> _Sums:
        """Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979."""
        if not self.size:
            return other
        size = self.size + other.size
        apart = other.total / other.size - self.total / self.size
        return _Sums(
            size,
            self.zeros + other.zeros,
            self.total + other.total,
            self.squares + other.squares + apart * apart * self.size * other.size / size,
            min(self.low, other.low),
            max(self.high, other.high),
        )


def _sums(numbers: Array) -> _Sums:
    """All sums in one walk over memory: a piece stays in the cache while it is looked at several times."""
    kind = np.float32 if numbers.dtype == np.float32 else np.float64
    sums = _Sums()
    with np.errstate(invalid="ignore", over="ignore"):  # infinities have no sum; whoever asks looks at that
        for start in range(0, numbers.size, _PIECE):
            sums = sums.joined(_piece_sums(numbers[start : start + _PIECE].astype(kind, copy=False)))
    return sums


def _piece_sums(piece: Array) -> _Sums:
    low, high = float(np.minimum.reduce(piece)), float(np.maximum.reduce(piece))
    zeros = piece.size - int(np.count_nonzero(piece != 0)) if low <= 0 <= high else 0
    if low == high and math.isfinite(low):  # exactly no spread, which rounding would not give
        return _Sums(piece.size, zeros, piece.size * low, 0.0, low, high)
    total, about_zero = _sum(piece), _sum_of_squares(piece)
    squares = about_zero - total * total / piece.size
    if squares < _WIDE * about_zero:
        squares = _sum_of_squares(piece - piece.dtype.type(total / piece.size))
    return _Sums(piece.size, zeros, total, squares, low, high)


def _sum(numbers: Array) -> float:
    """BLAS sums rows faster than NumPy does."""
    return _dot(numbers, _ONES[numbers.dtype.type])


def _sum_of_squares(numbers: Array) -> float:
    return _dot(numbers, None)


def _dot(numbers: Array, row: Array | None) -> float:
    """The sum of products with a row that is repeated as often as it takes; without one, with the numbers themselves.

    Rows are summed in the numbers' own type, and their sums in float64.
    """
    end = numbers.size - numbers.size % _ROW
    rest = numbers[end:]
    total = float(rest.dot(rest if row is None else row[: rest.size]))
    if end:
        rows = numbers[:end].reshape(-1, _ROW)
        total += float(np.add.reduce(np.vecdot(rows, rows if row is None else row), dtype=np.float64))
    return total
