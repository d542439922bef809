from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from service.core.drift import QUANTILES, drift, quantiles


def means(count: int, seed: int, shift: float = 0.0, channels: int = 8) -> NDArray[np.float64]:
    """Normal means around 3, with another spread in each channel."""
    rng = np.random.default_rng(seed)
    return rng.normal(3 + shift, np.linspace(0.5, 2, channels), (count, channels))


def test_a_profile_is_made_of_quantiles() -> None:
    """From the lowest to the highest, per channel."""
    row = quantiles(np.arange(65, dtype=np.float64).reshape(65, 1) * [1, 10])

    assert row.shape == (QUANTILES, 2)
    assert row[:, 0].tolist() == list(range(0, 65, 2))
    assert (row[-1] == [64, 640]).all()


def test_the_same_distribution_rarely_seems_to_drift() -> None:
    """Out of 400 layers of 8 channels, with 50 images each, at most one is accused."""
    reference = quantiles(means(256, seed=1))

    accused = sum(drift(means(50, seed=seed), reference, 256).channels > 0 for seed in range(2, 402))

    assert accused <= 1


@pytest.mark.parametrize("shift", [-2.0, 2.0])
def test_a_shift_is_found_in_the_channels_that_it_moves_far(shift: float) -> None:
    """Four spreads in the narrow channel, one in the wide one; the narrow one is named first."""
    found = drift(means(100, seed=5, shift=shift), quantiles(means(256, seed=1)), 256)

    assert found.channels >= 6
    assert found.worst[0].channel in {0, 1}
    assert found.worst[0].ks > 0.9
    assert [each.ks for each in found.worst] == sorted((each.ks for each in found.worst), reverse=True)
    assert len(found.worst) == 5


def test_the_distance_is_that_of_two_samples() -> None:
    """Half of the values below all of the reference: the cumulative distributions are 0.5 apart."""
    reference = quantiles(np.linspace(0, 1, 1001).reshape(-1, 1))
    values = np.concatenate([np.full(50, -1.0), np.linspace(0, 1, 50)]).reshape(-1, 1)

    (worst,) = drift(values, reference, 1001).worst

    assert worst.ks == pytest.approx(0.5, abs=0.02)


def test_the_stability_index_is_the_sum_over_bins() -> None:
    """Everything in one tenth of the range: ln(10) times the missing 0.9, and what half an observation adds."""
    reference = quantiles(np.linspace(0, 1, 1001).reshape(-1, 1))

    (worst,) = drift(np.full((1000, 1), 0.45), reference, 1001).worst

    told = (1000.5 / 1005, *[0.5 / 1005] * 9)
    expected = sum((share - 0.1) * math.log(share / 0.1) for share in told)
    assert worst.psi == pytest.approx(expected, rel=0.05)


def test_a_constant_channel_stays_one_in_spite_of_rounding() -> None:
    """Other kernels round otherwise; a real change of the constant is found."""
    reference = quantiles(np.full((100, 1), 7.0))

    same = drift(np.full((60, 1), 7.00001), reference, 100)
    other = drift(np.full((60, 1), 7.01), reference, 100)

    assert (same.channels, same.worst[0].ks) == (0, 0.0)
    assert same.worst[0].psi < 0.02  # both are constant; the half observations of empty bins differ
    assert (other.channels, other.worst[0].ks) == (1, 1.0)


def test_means_that_are_no_numbers_have_gone_far() -> None:
    """A channel of NaN lies beyond everything that was seen."""
    found = drift(np.full((60, 1), np.nan), quantiles(means(100, seed=1, channels=1)), 100)

    assert (found.channels, found.worst[0].ks) == (1, 1.0)


@pytest.mark.parametrize(("images", "reference_images"), [(49, 256), (256, 49)])
def test_few_images_prove_nothing(images: int, reference_images: int) -> None:
    """However far they are."""
    found = drift(means(images, seed=1, shift=50), quantiles(means(100, seed=1)), reference_images)

    assert not found.enough
    assert found.channels == 0
    assert found.worst[0].ks == 1.0
