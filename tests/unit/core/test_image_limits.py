from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.core.errors import BadImage
from service.core.image import Format, Header, Limits, decode, inspect
from tests.unit.core.encoded import encode, photo, png, spec

LIMITS = Limits(max_bytes=20_000, max_pixels=1200, max_side=100, min_side=2)
FORMATS: list[Format] = ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"]


@pytest.mark.parametrize("format_", FORMATS)
def test_format_and_size_are_read(format_: Format) -> None:
    """Each accepted format tells its size, width before height."""
    assert inspect(encode(photo(30, 40), format_), LIMITS) == Header(format_, width=40, height=30)


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0"}, {"quality": 50}])
def test_every_kind_of_webp_tells_its_size(options: dict[str, Any]) -> None:
    """Lossless, extended and lossy files have headers of their own."""
    data = encode(photo(30, 40), "WebP", **options)

    assert inspect(data, LIMITS) == Header("WebP", 40, 30)


def test_an_empty_file_is_refused() -> None:
    """No bytes, no picture."""
    with pytest.raises(BadImage, match=r"^image: must not be empty, got 0 bytes$"):
        inspect(b"", LIMITS)


def test_too_many_bytes_are_refused() -> None:
    """The limit on the encoded size is checked first of all, whatever the bytes are."""
    with pytest.raises(BadImage, match=r"^image: at most 20000 bytes, got 20001 bytes$"):
        inspect(b"x" * 20_001, LIMITS)


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"<svg/>", b"RIFF\0\0\0\0WAVE", b"\0\0\1\0", b"\xff\xd8", b"x"])
def test_other_files_are_refused(data: bytes) -> None:
    """Formats that Pillow knows beside ours, such as ICO, cannot be reached."""
    with pytest.raises(BadImage, match=r"^image: must be JPEG, PNG, WebP, GIF, BMP or TIFF, got a file that begins"):
        inspect(data, LIMITS)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("height", "width", "message"),
    [
        (1, 50, "image: sides of at least 2 pixels, got 50 x 1"),
        (101, 2, "image: sides of at most 100 pixels, got 2 x 101"),
        (40, 31, "image: at most 1200 pixels, got 31 x 40 = 1240"),
    ],
)
def test_a_size_out_of_bounds_is_refused(format_: Format, height: int, width: int, message: str) -> None:
    """Looking and decoding refuse alike, with field, limit and value."""
    data = encode(np.zeros((height, width, 3), np.uint8), format_)

    for refuse in (lambda: inspect(data, LIMITS), lambda: decode(data, spec(3, 8, 8), LIMITS)):
        with pytest.raises(BadImage) as caught:
            refuse()
        assert str(caught.value) == message


def test_a_bomb_is_refused_unopened() -> None:
    """A header that announces 900 million pixels is enough; there are none behind it."""
    data = png((30_000, 30_000), 8, 2, [])

    with pytest.raises(BadImage, match="at most 64000000 pixels, got 30000 x 30000 = 900000000"):
        decode(data, spec(3, 8, 8), Limits())


def test_a_webp_bomb_is_refused_before_its_canvas_is_made() -> None:
    """Pillow would allocate the canvas of the first chunk at once."""
    header = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + (16_000).to_bytes(3, "little") * 2
    data = b"RIFF" + len(header).to_bytes(4, "little") + b"WEBP" + header

    with pytest.raises(BadImage, match="at most 64000000 pixels, got 16001 x 16001"):
        decode(data, spec(3, 8, 8), Limits())


def test_a_gif_frame_larger_than_its_screen_is_refused() -> None:
    """The first frame may claim more than the file's header does."""
    data = bytearray(encode(np.zeros((4, 4), np.uint8), "GIF"))
    frame = data.index(b"\x2c\0\0\0\0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"

    with pytest.raises(BadImage, match="image: must be a complete, undamaged GIF file, got Image size"):
        inspect(bytes(data), Limits())


def test_a_header_cut_short_is_damage() -> None:
    """A file may end before it has told its size."""
    for format_ in FORMATS:
        with pytest.raises(BadImage, match=f"image: must be a complete, undamaged {format_} file"):
            inspect(encode(photo(30, 40), format_)[:16], LIMITS)
