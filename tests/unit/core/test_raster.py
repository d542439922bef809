from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.core.errors import BadImage
from service.core.image import Limits, decode
from tests.unit.core.encoded import encode, exif, photo, png, spec, tiff_tag

COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]], np.uint8)
WIDE = np.array([[0, 0x1234, 0x80FF, 0xFFFF]], np.uint16)


def rgb(data: bytes, height: int = 2, width: int = 2) -> list[Any]:
    """The decoded picture as nested lists, without resampling."""
    pixels: list[Any] = decode(data, spec(3, height, width), Limits()).tolist()
    return pixels


def gray(data: bytes, width: int, height: int = 1) -> list[int]:
    """The samples of a one-channel picture."""
    samples: list[int] = decode(data, spec(1, height, width), Limits()).ravel().tolist()
    return samples


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("PNG", {}),
        ("WebP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_deflate"}),
    ],
)
def test_lossless_files_give_their_pixels_back(format_: str, options: dict[str, Any]) -> None:
    """Every pixel comes out as it went in."""
    assert rgb(encode(COLOURS, format_, **options)) == COLOURS.tolist()


def test_a_lossy_webp_is_close() -> None:
    """A photograph loses a little."""
    picture = photo(32, 48)

    difference = np.abs(decode(encode(picture, "WebP", quality=95), spec(3, 32, 48), Limits()) - picture.astype(int))
    assert difference.mean() < 6


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK"])
def test_samples_of_every_kind_become_rgb(mode: str) -> None:
    """Palette indices, opaque alpha and inks are all colours."""
    format_ = "TIFF" if mode == "CMYK" else "PNG"
    pixels = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)

    assert rgb(encode(pixels, format_, mode), 1, 2) == pixels.tolist()


def test_tiff_may_hold_luma_and_chroma() -> None:
    """YCbCr is converted by JFIF's rule."""
    data = encode(np.full((1, 1, 3), (128, 128, 128), np.uint8), "TIFF", "YCbCr")

    assert rgb(data, 1, 1) == [[[128, 128, 128]]]


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF"])
def test_one_bit_is_black_or_white(format_: str) -> None:
    """Bits become 0 and 255."""
    data = encode(np.array([[0, 255, 255, 0]], np.uint8), format_, "1")

    assert gray(data, 4) == [0, 255, 255, 0]


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(format_: str) -> None:
    """The high byte counts: 0x1234 is dark, not white."""
    assert gray(encode(WIDE, format_), 4) == [0, 0x12, 0x80, 0xFF]


def test_sixteen_bits_in_the_other_byte_order() -> None:
    """A big-endian TIFF holds the same picture."""
    data = encode(WIDE.astype(">u2"), "TIFF")

    assert data.startswith(b"MM")
    assert gray(data, 4) == [0, 0x12, 0x80, 0xFF]


def test_sixteen_bits_where_white_is_zero() -> None:
    """Pillow leaves such a negative as it is; here it is developed."""
    assert gray(tiff_tag(encode(WIDE, "TIFF"), 262, 0), 4) == [0xFF, 0xED, 0x7F, 0]


def test_twelve_bits_are_scaled_by_their_own_range() -> None:
    """Scanners write 12-bit TIFFs: 0xFFF is white, 0x800 is mid-gray."""
    samples = encode(np.zeros((1, 4), np.uint16), "TIFF")
    strip = struct.unpack_from("<I", samples, samples.index(struct.pack("<HHI", 273, 4, 1)) + 8)[0]
    data = tiff_tag(samples[:strip] + bytes([0xFF, 0xF8, 0x00, 0x00, 0x04, 0x10, 0, 0]), 258, 12)

    assert gray(data, 4) == [0xFF, 0x80, 0x00, 0x41]


def test_sixteen_bit_colours_keep_their_high_bytes() -> None:
    """The same rule as for gray: gray and colour files of one picture agree."""
    data = png((1, 1), 16, 2, [struct.pack(">HHH", 0x1234, 0x80FF, 0xFFFF)])

    assert rgb(data, 1, 1) == [[[0x12, 0x80, 0xFF]]]


def test_alpha_lies_over_white() -> None:
    """Transparent is white, half-transparent black is mid-gray, opaque stays."""
    pixels = np.array([[[9, 9, 9, 0], [0, 0, 0, 128], [1, 2, 3, 255]]], np.uint8)

    for data in (encode(pixels, "PNG"), encode(pixels, "WebP", lossless=True, exact=True), encode(pixels, "TIFF")):
        assert rgb(data, 1, 3) == [[[255, 255, 255], [127, 127, 127], [1, 2, 3]]]


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_gray_with_alpha_lies_over_white(format_: str) -> None:
    """Gray pictures obey the same rule."""
    pixels = np.array([[[9, 0], [0, 128], [7, 255]]], np.uint8)

    assert gray(encode(pixels, format_), 3) == [255, 127, 7]


def test_premultiplied_gray_is_understood() -> None:
    """A TIFF may store gray already multiplied by alpha: 64 under alpha 128 is 128, over white 191."""
    data = tiff_tag(encode(np.array([[[64, 128], [7, 255]]], np.uint8), "TIFF"), 338, 1)

    assert gray(data, 2) == [pytest.approx(191, abs=1), 7]


@pytest.mark.parametrize(
    ("depth", "row", "key", "expected"),
    [
        (1, b"\x40", 0, [255, 255]),
        (2, b"\x1c", 1, [0, 255, 255, 0]),
        (4, b"\x5a", 5, [255, 170]),
        (8, b"\x05\x55", 5, [255, 85]),
        (16, b"\x12\x34\x12\x35", 0x1234, [255, 0x12]),
    ],
)
def test_a_transparent_gray_is_found_in_every_depth(depth: int, row: bytes, key: int, expected: list[int]) -> None:
    """PNG names the transparent sample in the depth of the file."""
    data = png((len(expected), 1), depth, 0, [row], tRNS=struct.pack(">H", key))

    assert gray(data, len(expected)) == expected


@pytest.mark.parametrize(("depth", "sample"), [(8, "B"), (16, "H")])
def test_a_transparent_colour_is_found_in_every_depth(depth: int, sample: str) -> None:
    """Pixels of that very colour become white, others stay."""
    high = 1 << (depth - 8)
    row = struct.pack(f">6{sample}", *(value * high for value in (1, 2, 3, 4, 5, 6)))
    key = struct.pack(">HHH", *(value * high for value in (1, 2, 3)))

    assert rgb(png((2, 1), depth, 2, [row], tRNS=key), 1, 2) == [[[255, 255, 255], [4, 5, 6]]]


def test_a_transparent_palette_entry_is_white() -> None:
    """GIF and palette PNG name the transparent index."""
    image = np.array([[0, 1]], np.uint8)
    palette = Image.fromarray(image)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    for format_ in ("GIF", "PNG"):
        data = encode(palette, format_, transparency=1)
        assert rgb(data, 1, 2) == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("format_", ["GIF", "WebP", "TIFF", "PNG"])
def test_the_first_frame_or_page_counts(format_: str) -> None:
    """Of an animation or a document the rest is not looked at."""
    first, second = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    data = encode(first, format_, save_all=True, append_images=[Image.fromarray(second)])

    assert not decode(data, spec(3, 4, 4), Limits()).any()


@pytest.mark.parametrize(("format_", "options"), [("PNG", {}), ("WebP", {"lossless": True}), ("TIFF", {})])
def test_orientation_is_honoured_in_every_format(format_: str, options: dict[str, Any]) -> None:
    """Orientation 6 turns a wide picture to the right: its left column becomes the top row."""
    wide = np.array([[[10] * 3, [20] * 3, [30] * 3], [[40] * 3, [50] * 3, [60] * 3]], np.uint8)
    data = encode(wide, format_, exif=exif(6), **options)

    assert decode(data, spec(3, 3, 2), Limits())[:, :, 0].tolist() == [[40, 10], [50, 20], [60, 30]]


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [(np.zeros((2, 2), np.float32), "F"), (np.zeros((2, 2), np.int32), "I"), (np.zeros((2, 2, 3), np.uint8), "LAB")],
)
def test_samples_without_a_known_range_are_refused(pixels: NDArray[Any], mode: str) -> None:
    """Nobody can say which float is white."""
    image = Image.fromarray(pixels) if mode != "LAB" else Image.new("LAB", (2, 2))

    with pytest.raises(
        BadImage, match=f"image: 8- or 16-bit gray, palette, RGB, YCbCr or CMYK samples, got mode {mode}"
    ):
        decode(encode(image, "TIFF"), spec(3, 2, 2), Limits())


@pytest.mark.parametrize("format_", ["PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_a_truncated_file_is_refused(format_: str) -> None:
    """Half of the pixels is not a picture."""
    data = encode(photo(40, 40), format_)

    with pytest.raises(BadImage, match=f"image: must be a complete, undamaged {format_} file"):
        decode(data[: len(data) // 2], spec(3, 8, 8), Limits())


def test_a_palette_that_is_missing_is_damage() -> None:
    """Indices alone say nothing."""
    with pytest.raises(BadImage, match="image: must be a complete, undamaged PNG file"):
        decode(png((2, 1), 8, 3, [b"\0\1"]), spec(3, 1, 2), Limits())
