from __future__ import annotations

import numpy as np
import pytest

from service.core.errors import BadImage, InvalidInput
from service.core.image import Limits, decode, load, prepare
from tests.unit.core.encoded import encode, photo, spec


def wide(left: int, middle: int, right: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A gray picture of 10 x 30 in three squares."""
    return np.repeat(np.array([left, middle, right], np.uint8), 10)[np.newaxis, :, np.newaxis].repeat(10, axis=0)


def test_pixels_that_fit_pass_untouched() -> None:
    """An MNIST digit of 28 x 28 reaches the network bit by bit."""
    digit = photo(28, 28, 1)

    assert prepare(digit, spec(1, 28, 28, resize="crop")) is digit


def test_stretching_ignores_the_aspect_ratio() -> None:
    """All three squares are in the result, each squeezed."""
    pixels = prepare(wide(0, 100, 200), spec(1, 6, 6, interpolation="nearest"))

    assert pixels[:, :, 0].tolist() == [[0, 0, 100, 100, 200, 200]] * 6


def test_cropping_takes_the_centre() -> None:
    """The middle square alone is seen, in a picture that lies and in one that stands."""
    lying = wide(0, 100, 200)

    assert np.unique(prepare(lying, spec(1, 5, 5, resize="crop", interpolation="nearest"))).tolist() == [100]
    standing = np.ascontiguousarray(lying.swapaxes(0, 1))
    assert np.unique(prepare(standing, spec(1, 5, 5, resize="crop", interpolation="nearest"))).tolist() == [100]


def test_cropping_takes_a_fraction_of_the_largest_box() -> None:
    """Half of a 12 x 12 picture is its centre of 6 x 6."""
    pixels = np.zeros((12, 12, 1), np.uint8)
    pixels[3:9, 3:9] = 255

    assert prepare(pixels, spec(1, 6, 6, resize="crop", crop_fraction=0.5, interpolation="nearest")).min() == 255


def test_cropping_follows_the_shape_of_the_network() -> None:
    """A network twice as wide as high sees a box of that shape."""
    pixels = prepare(wide(0, 100, 200), spec(1, 4, 8, resize="crop", interpolation="nearest"))

    assert pixels[0, :, 0].tolist() == [0, 0, 100, 100, 100, 100, 200, 200]


def test_resize_256_crop_224_is_a_crop_of_seven_eighths() -> None:
    """The usual ImageNet recipe on a square picture: columns 16 to 240 of 256."""
    ramp = np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis].repeat(256, axis=0)

    pixels = prepare(ramp, spec(1, 224, 224, resize="crop", crop_fraction=0.875))
    assert pixels[0, :, 0].tolist() == list(range(16, 240))


def test_padding_shows_everything_on_the_background() -> None:
    """The picture keeps its shape in the middle; the rest is the background."""
    pixels = prepare(wide(50, 50, 50), spec(1, 6, 6, resize="pad", background=7))

    assert pixels[:, 0, 0].tolist() == [7, 7, 50, 50, 7, 7]


def test_padding_rounds_to_the_nearest_row() -> None:
    """A third of 8 rows is 2.67: three rows are shown."""
    pixels = prepare(wide(50, 50, 50), spec(1, 8, 8, resize="pad", background=7))

    assert pixels[:, 0, 0].tolist() == [7, 7, 50, 50, 50, 7, 7, 7]


def test_padding_leaves_at_least_one_row_of_the_thinnest_picture() -> None:
    """A line of 1 x 1000 does not vanish."""
    pixels = prepare(np.full((1, 1000, 1), 50, np.uint8), spec(1, 5, 5, resize="pad", background=0))

    assert pixels[:, 0, 0].tolist() == [0, 0, 50, 0, 0]


def test_a_gray_model_sees_luma() -> None:
    """ITU-R 601: 0.299 of red, 0.587 of green, 0.114 of blue."""
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)

    assert prepare(primaries, spec(1, 1, 4))[0, :, 0].tolist() == [76, 150, 29, 255]


def test_a_colour_model_sees_gray_three_times() -> None:
    """A gray file and its colour twin are the same picture."""
    gray = photo(20, 30, 1)
    model = spec(3, 10, 10, resize="crop", interpolation="bicubic")

    assert np.array_equal(prepare(gray, model), prepare(gray.repeat(3, axis=2), model))
    assert np.array_equal(decode(encode(gray.squeeze(), "PNG"), model, Limits()), prepare(gray, model))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_the_result_is_what_the_network_expects(channels: int, resize: str) -> None:
    """Height, width and channels of the spec, uint8, rows one after the other in memory."""
    model = spec(3 if channels == 3 else 1, 17, 23, resize=resize)
    for data in (encode(photo(40, 31), "JPEG"), encode(photo(40, 31), "PNG"), encode(photo(17, 23), "PNG")):
        pixels = decode(data, model, Limits())

        assert pixels.shape == (17, 23, channels)
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "dtype", "got"),
    [
        ((4, 4), np.uint8, r"uint8 \[4, 4\]"),
        ((4, 4, 4), np.uint8, r"uint8 \[4, 4, 4\]"),
        ((0, 4, 1), np.uint8, r"uint8 \[0, 4, 1\]"),
        ((4, 4, 1), np.float32, r"float32 \[4, 4, 1\]"),
    ],
)
def test_other_arrays_are_refused(shape: tuple[int, ...], dtype: type, got: str) -> None:
    """Raw pixels of a caller must have the shape and type that decoding gives."""
    with pytest.raises(InvalidInput, match=rf"pixels: uint8 \[height, width, 1 or 3\], got {got}"):
        prepare(np.zeros(shape, dtype), spec(1, 2, 2))


def test_pixels_are_taken_as_they_are() -> None:
    """The network's own input needs no decoding, and is not copied."""
    data = bytes(range(12))
    pixels = load(memoryview(data), spec(3, 2, 2), Limits(), pixels=True)

    assert pixels.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert not pixels.flags.owndata


def test_pixels_of_another_size_are_refused() -> None:
    """The message says how many bytes make the network's input."""
    with pytest.raises(BadImage, match="image: 12 bytes, 2 x 2 x 3 pixels, got 11 bytes"):
        load(bytes(11), spec(3, 2, 2), Limits(), pixels=True)


def test_files_are_decoded_on_the_same_way_in() -> None:
    """What is no pixels is an encoded picture."""
    data = encode(photo(17, 23), "PNG")

    assert np.array_equal(load(data, spec(3, 17, 23), Limits(), pixels=False), decode(data, spec(3, 17, 23), Limits()))
