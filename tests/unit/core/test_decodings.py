from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.core.decodings import decode
from service.core.encodings import Encoding, Kind, Range, encode

MAPS = np.array([[[0, 1], [2, 10]], [[-4, 0], [0, 4]]], np.float32)
finite = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    elements=st.floats(-1e6, 1e6, width=32),
)


@pytest.mark.parametrize("kind", [Kind.FLOAT32, Kind.FLOAT16, Kind.NPY])
def test_numbers_come_back_as_they_were(kind: Kind) -> None:
    """These fit any of the types."""
    assert np.array_equal(decode(encode(MAPS, Encoding(kind)), kind), MAPS)


@given(maps=finite, range_=st.sampled_from([Range.PER_CHANNEL, Range.PER_LAYER, Range.SYMMETRIC]))
def test_bytes_come_back_within_half_a_step(
    maps: np.ndarray[tuple[int, int, int], np.dtype[np.float32]], range_: Range
) -> None:
    """Half of the scale, and what float32 rounds."""
    encoded = encode(maps, Encoding(Kind.UINT8, range_))

    bound = max(encoded.scale) / 2 * 1.001 + np.abs(maps).max() * 1e-6
    assert np.abs(decode(encoded, Kind.UINT8) - maps).max() <= bound


def test_what_bytes_cannot_hold_is_not_a_number() -> None:
    """NaN and infinities, where they were."""
    maps = MAPS.copy()
    maps[0, 0, 1], maps[1, 1, 0] = np.nan, -np.inf

    back = decode(encode(maps, Encoding(Kind.UINT8)), Kind.UINT8)

    assert np.array_equal(np.isnan(back), ~np.isfinite(maps))
    assert back[0, 1, 1] == pytest.approx(10)


@pytest.mark.parametrize("kind", [Kind.STATISTICS, Kind.PNG])
def test_no_numbers_are_no_channels(kind: Kind) -> None:
    """A picture is read by other means."""
    assert decode(encode(MAPS, Encoding(kind)), kind).shape == (0, 2, 2)
