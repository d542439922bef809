from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from service.core import colormaps
from service.core.decodings import decode
from service.core.encodings import Encoding, Kind, Range, chunks, encode, price
from service.core.errors import InvalidInput

MAPS = np.array([[[0, 1], [2, 10]], [[-4, 0], [0, 4]]], np.float32)

shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
finite = arrays.arrays(np.float32, shapes, elements=st.floats(-1e6, 1e6, width=32))
anything = arrays.arrays(np.float32, shapes, elements=st.floats(width=32))
encodings = st.builds(
    Encoding,
    kind=st.sampled_from(Kind),
    range=st.sampled_from([each for each in Range if each is not Range.FIXED]),
    max_side=st.integers(0, 6),
    min_side=st.integers(0, 12),
    tile_columns=st.integers(0, 4),
)


def picture(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def test_numbers_travel_as_they_are() -> None:
    """Little-endian, C order."""
    assert np.array_equal(np.frombuffer(encode(MAPS, Encoding(Kind.FLOAT32)).data, "<f4").reshape(MAPS.shape), MAPS)
    assert np.array_equal(np.frombuffer(encode(MAPS, Encoding(Kind.FLOAT16)).data, "<f2").reshape(MAPS.shape), MAPS)


def test_a_numpy_file_holds_one_item_in_the_layers_own_type() -> None:
    """So `numpy.load` gives [1, channels, height, width]."""
    loaded = np.load(io.BytesIO(encode(MAPS.astype(np.int8), Encoding(Kind.NPY)).data))

    assert loaded.dtype == np.int8
    assert np.array_equal(MAPS[np.newaxis], loaded)


def test_statistics_alone_have_no_bytes() -> None:
    """They lie in the layer's header."""
    assert encode(MAPS, Encoding()).data == b""


@pytest.mark.parametrize(
    ("range_", "offset", "scale"),
    [
        (Range.PER_CHANNEL, (0, -4), (10 / 255, 8 / 255)),
        (Range.PER_LAYER, (-4,), (14 / 255,)),
        (Range.SYMMETRIC, (-10,), (20 / 255,)),
        (Range.FIXED, (-1,), (3 / 255,)),
        (Range.PERCENTILE, (-1.2,), (7 / 255,)),
    ],
)
def test_bytes_say_what_they_stand_for(range_: Range, offset: tuple[float, ...], scale: tuple[float, ...]) -> None:
    """Value = offset + scale * byte; what lies outside the range is at its end."""
    encoded = encode(MAPS, Encoding(Kind.UINT8, range_, low=-1, high=2, percentile=10))

    assert encoded.offset == pytest.approx(offset)
    assert encoded.scale == pytest.approx(scale)
    read = _decoded(encoded.data, encoded.offset, encoded.scale)
    low, high = np.array(offset), np.array(offset) + 255 * np.array(scale)
    clipped = np.clip(MAPS, low[:, None, None], high[:, None, None])
    assert np.abs(read - clipped).max() <= max(scale) / 2 + 1e-6


@given(finite)
def test_a_byte_is_off_by_half_a_step_at_most(maps: NDArray[np.float32]) -> None:
    """Whatever the values, constant maps included."""
    encoded = encode(maps, Encoding(Kind.UINT8))

    error = np.abs(_decoded(encoded.data, encoded.offset, encoded.scale, maps.shape) - maps).max(axis=(1, 2))
    assert (error <= np.array(encoded.scale) / 2 * (1 + 1e-9) + 1e-9).all()


def test_what_is_not_finite_is_listed_not_quantised() -> None:
    """The range is that of the finite values."""
    maps = np.array([[[np.nan, 1], [3, np.inf]]], np.float32)

    encoded = encode(maps, Encoding(Kind.UINT8))

    assert encoded.not_finite == (0, 3)
    assert list(encoded.data) == [0, 0, 255, 0]
    assert encoded.offset == (1,)


@given(anything, encodings)
def test_the_price_is_never_too_low(maps: NDArray[np.float32], encoding: Encoding) -> None:
    """Exact for numbers, an upper bound for pictures; nothing that a network may give breaks an encoding."""
    channels, height, width = maps.shape
    estimate = price((channels, height, width), 4, encoding)
    taken = len(encode(maps, encoding).data)

    assert taken <= estimate if encoding.kind is Kind.PNG else taken == estimate


def test_a_picture_of_tiles() -> None:
    """Two maps side by side, one white pixel apart; the lowest value has the first colour, the highest the last."""
    encoded = encode(np.abs(MAPS), Encoding(Kind.PNG, colormap="gray", tile_columns=2))

    assert picture(encoded.data)[:, :, 0].tolist() == [[0, 25, 255, 255, 0], [51, 255, 255, 0, 255]]
    assert encoded.colormap == "gray"
    assert encoded.offset == (0, 0)
    assert encoded.scale == pytest.approx((10 / 253, 4 / 253))


def test_maps_with_a_sign_diverge_about_zero() -> None:
    """Zero is the light middle of the colour map, though the lowest value is not minus the highest."""
    encoded = encode(MAPS, Encoding(Kind.PNG, Range.PER_LAYER))

    assert encoded.colormap == "puor"
    assert encoded.offset == (-10,)
    assert encoded.scale == pytest.approx((20 / 253,))
    assert picture(encoded.data)[0, 0].min() > 240
    assert encode(np.abs(MAPS), Encoding(Kind.PNG)).colormap == "viridis"


def test_what_is_not_finite_is_magenta() -> None:
    """No colour map has it."""
    pixels = picture(encode(np.array([[[np.nan, 1.0]]], np.float32), Encoding(Kind.PNG)).data)

    assert pixels[0, 0].tolist() == [255, 0, 255]


def test_small_tiles_are_enlarged_and_large_ones_averaged() -> None:
    """A 2x2 map of at least 5 pixels becomes 6x6; a 4x2 map of at most 2 becomes 2x1."""
    assert picture(encode(MAPS[:1], Encoding(Kind.PNG, min_side=5)).data).shape == (6, 6, 3)
    tall = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    small = encode(tall, Encoding(Kind.UINT8, max_side=2))
    assert small.shape == (1, 2, 1)
    assert small.offset == (1.5,)
    assert small.scale == pytest.approx((4 / 255,))


@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_colours_are_those_that_everybody_knows(name: str) -> None:
    """Within six levels of 255 of matplotlib's table, which no eye tells apart."""
    known = mpl.colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255

    assert np.abs(known - colormaps.table(name, 256)).max() <= 6


@pytest.mark.parametrize("name", sorted(colormaps.DIVERGING))
def test_diverging_colours_are_lightest_in_the_middle(name: str) -> None:
    """Cold below, warm above."""
    table = colormaps.table(name, 255).astype(int)

    assert int(table.sum(axis=1).argmax()) == 127
    assert table[-32, 0] > table[-32, 2]
    assert table[32, 0] < table[32, 2]


def test_chunks_hold_whole_channels_where_they_fit() -> None:
    """Three channels of 16 bytes in pieces of at most 40; a file is cut anywhere."""
    maps = np.zeros((3, 2, 2), np.float32)

    pieces = chunks(encode(maps, Encoding(Kind.FLOAT32)), Kind.FLOAT32, 40)

    assert [(offset, len(data)) for offset, data in pieces] == [(0, 32), (32, 16)]
    assert [len(data) for _, data in chunks(encode(maps, Encoding(Kind.FLOAT32)), Kind.FLOAT32, 10)] == [10] * 4 + [8]
    assert {len(data) for _, data in chunks(encode(maps, Encoding(Kind.NPY)), Kind.NPY, 88)} == {88}
    assert chunks(encode(maps, Encoding()), Kind.STATISTICS, 40) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"colormap": "jet"}, "encoding.colormap: one of viridis, cividis, gray, rdbu, puor, got 'jet'"),
        ({"range": Range.FIXED, "low": 1.0, "high": 1.0}, "encoding.low: must be finite and below high"),
        ({"range": Range.PERCENTILE, "percentile": 50.0}, "encoding.percentile: 0 to below 50"),
    ],
)
def test_an_impossible_encoding_is_refused(wrong: dict[str, object], field: str) -> None:
    """Before anything is computed."""
    with pytest.raises(InvalidInput, match=field):
        Encoding(Kind.PNG, **wrong)  # type: ignore[arg-type]


def _decoded(
    data: bytes, offset: tuple[float, ...], scale: tuple[float, ...], shape: tuple[int, ...] = MAPS.shape
) -> NDArray[np.float64]:
    levels = np.frombuffer(data, np.uint8).reshape(shape)
    return np.array(offset)[:, None, None] + np.array(scale)[:, None, None] * levels


def test_stored_values_keep_their_type() -> None:
    """Integers travel as integers, a byte each, floats as floats; both come back as they were."""
    integers = np.arange(-4, 4, dtype=np.int8).reshape(2, 2, 2)
    floats = integers.astype(np.float32) / 3
    stored = Encoding(Kind.STORED)

    for maps in (integers, floats):
        encoded = encode(maps, stored)
        assert len(encoded.data) == price(encoded.shape, maps.itemsize, stored) == maps.nbytes
        np.testing.assert_array_equal(decode(encoded, Kind.STORED), maps)
        assert decode(encoded, Kind.STORED).dtype == maps.dtype
