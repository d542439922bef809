from __future__ import annotations

import math

import numpy as np
import pytest

from service.core.statistics import statistics, with_zeros


def test_statistics_count_what_is_not_finite_and_measure_the_rest() -> None:
    """A NaN does not make everything NaN."""
    values = np.array([0, 0, 3, -4, np.nan, np.inf, -np.inf, np.inf], np.float32)

    seen = statistics(values, percentiles=True, histogram=True)

    assert (seen.count, seen.nans, seen.positive_infinities, seen.negative_infinities, seen.zeros) == (8, 1, 2, 1, 2)
    assert (seen.mean, seen.min, seen.max, seen.l2) == (-0.25, -4, 3, 5)
    assert seen.std == pytest.approx(2.487469)
    assert seen.percentiles[3] == 0
    assert (seen.histogram[0], seen.histogram[-1], sum(seen.histogram), len(seen.histogram)) == (1, 1, 4, 32)


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (1e4, 1), (-3e-8, 1e-9), (1e15, 1e14)])
@pytest.mark.parametrize("size", [1, 7, 8193, 100_003])
def test_float32_is_summed_as_precisely_as_promised(mean: float, std: float, size: int) -> None:
    """Beside a sum in float64; a spread that is small beside the mean does not drown in it."""
    values = (mean + std * np.random.default_rng(size).standard_normal(size)).astype(np.float32)
    exact = values.astype(np.float64)
    scale = float(np.sqrt((exact**2).mean()))

    seen = statistics(values)

    assert (seen.min, seen.max, seen.zeros) == (exact.min(), exact.max(), 0)
    assert seen.mean == pytest.approx(exact.mean(), rel=0, abs=1e-6 * scale)
    assert seen.l2 == pytest.approx(np.sqrt((exact**2).sum()), rel=1e-6)
    assert seen.std == pytest.approx(exact.std(), rel=1e-5)


def test_one_value_everywhere_has_no_spread() -> None:
    """Exactly none, however it rounds."""
    seen = statistics(np.full(100_003, 0.1, np.float32))

    assert seen.std == 0
    assert seen.mean == np.float32(0.1)


def test_nothing_but_infinities_is_nothing_finite() -> None:
    """One value everywhere, but no number."""
    seen = statistics(np.full(5, np.inf, np.float32))

    assert (seen.count, seen.positive_infinities, seen.zeros) == (5, 5, 0)
    assert np.isnan([seen.mean, seen.std, seen.min, seen.max, seen.l2]).all()


def test_pieces_of_different_means_are_joined() -> None:
    """Zeros, then twos, in more than one piece: as far from their mean, 1, as it gets."""
    seen = statistics(np.repeat(np.array([0, 2], np.float32), 1 << 18))

    assert (seen.mean, seen.std, seen.zeros, seen.l2) == (1, 1, 1 << 18, 2 * math.sqrt(1 << 18))


def test_squares_beyond_float32_are_summed_in_float64() -> None:
    """Values near the largest float32 are finite, and so are their statistics."""
    seen = statistics(np.array([3e38, -3e38, 3e38, 3e38], np.float32))

    assert seen.count == 4
    assert seen.nans == seen.positive_infinities == seen.negative_infinities == 0
    assert (seen.mean, seen.l2, seen.std) == pytest.approx((1.5e38, 6e38, 2.598076e38), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float16, np.float64])
def test_other_types_are_summed_in_float64(dtype: type[np.generic]) -> None:
    """The integers of an INT8 network, say."""
    seen = statistics(np.arange(100).astype(dtype))

    assert (seen.mean, seen.min, seen.max, seen.zeros) == (49.5, 0, 99, 1)
    assert (seen.std, seen.l2) == pytest.approx((28.86607, 573.01832), rel=1e-6)


def test_percentiles_and_histogram_cost_extra() -> None:
    """So they come only when asked for; of nothing finite there are none."""
    assert statistics(np.arange(3.0)).percentiles == ()
    assert statistics(np.arange(3.0)).histogram == ()
    hollow = statistics(np.array([np.nan]), percentiles=True, histogram=True)
    assert (hollow.percentiles, hollow.histogram) == ((), ())
    assert np.isnan([hollow.mean, hollow.std, hollow.min, hollow.max, hollow.l2]).all()


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e20, 1e38])
def test_no_size_of_float32_is_too_small_or_large(size: float) -> None:
    """Squares that float32 cannot hold are taken in float64."""
    seen = statistics(np.array([size, -size, 3 * size, 0], np.float32))

    assert (seen.l2, seen.std) == pytest.approx((math.sqrt(11) * size, math.sqrt(11 / 4 - 9 / 16) * size), rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [[1.5, -2, 0, 4], [7, 7, 7], [np.nan, np.inf, 2, 5], [np.nan, np.nan], [-np.inf], [0, 0]],
)
def test_zeros_beside_are_counted_in(values: list[float]) -> None:
    """As if they had been among the values."""
    seen = np.array(values, np.float32)

    beside = with_zeros(statistics(seen), 5)

    expected = statistics(np.concatenate([seen, np.zeros(5, np.float32)]))
    assert (beside.count, beside.zeros, beside.nans) == (expected.count, expected.zeros, expected.nans)
    assert (beside.positive_infinities, beside.negative_infinities) == (
        expected.positive_infinities,
        expected.negative_infinities,
    )
    assert (beside.min, beside.max) == (expected.min, expected.max)
    assert (beside.mean, beside.std, beside.l2) == pytest.approx((expected.mean, expected.std, expected.l2), rel=1e-6)


def test_no_zeros_beside_change_nothing() -> None:
    """Not a bit."""
    seen = statistics(np.array([0.1, 0.2], np.float32), percentiles=True)

    assert with_zeros(seen, 0) == seen
