from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.core import jpeg
from service.core.errors import BadImage
from service.core.image import Limits, decode
from tests.unit.core.encoded import encode, exif, photo, spec

PHOTO = photo(60, 80)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": "4:4:4"}),
        ("RGB", {"keep_rgb": True}),
        ("L", {}),
        ("CMYK", {}),
    ],
)
def test_every_kind_of_jpeg_is_read_as_pillow_reads_it(mode: str, options: dict[str, Any]) -> None:
    """Both stand on libjpeg-turbo; CMYK is stored inverted, as Adobe does."""
    data = encode(PHOTO, "JPEG", mode, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    assert np.array_equal(decode(data, spec(3, 60, 80), Limits()), expected)


def test_inks_become_light() -> None:
    """A CMYK picture of pure red comes out red, not cyan."""
    data = encode(np.full((16, 16, 3), (255, 0, 0), np.uint8), "JPEG", "CMYK", quality=100)

    assert decode(data, spec(3, 16, 16), Limits())[8, 8].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_ycck_is_cmyk_in_other_coordinates() -> None:
    """With Adobe's transform 2 the inks are stored as luma and chroma: mid-gray chroma leaves three equal inks."""
    data = encode(np.full((16, 16, 3), 96, np.uint8), "JPEG", "CMYK", quality=100)
    at = data.index(b"Adobe") + 11
    ycck = data[:at] + b"\x02" + data[at + 1 :]
    expected = np.asarray(Image.open(io.BytesIO(ycck)).convert("RGB"))

    assert np.array_equal(decode(ycck, spec(3, 16, 16), Limits()), expected)
    assert not np.array_equal(expected, decode(data, spec(3, 16, 16), Limits()))


def test_a_gray_model_gets_the_luma_that_the_file_stores() -> None:
    """The file's Y is within 2 of the luma of its decoded colours."""
    data = encode(PHOTO // 2 + 64, "JPEG", quality=95)
    colours = np.asarray(Image.open(io.BytesIO(data)))
    luma = np.asarray(Image.fromarray(colours).convert("L"))

    difference = np.abs(decode(data, spec(1, 60, 80), Limits())[:, :, 0].astype(int) - luma)
    assert difference.max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_may_be_held_in_any_way(orientation: int) -> None:
    """However the pixels were stored, the white corner ends up at the top left of a tall picture."""
    upright = np.zeros((32, 16, 3), np.uint8)
    upright[:8, :8] = 255
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(upright)
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    data = encode(np.asarray(stored), "JPEG", quality=100, exif=exif(orientation))

    pixels = decode(data, spec(3, 32, 16), Limits())
    assert (pixels[:8, :8].min(), pixels[:8, 8:].max(), pixels[8:].max()) == (pytest.approx(255, abs=2), 0, 0)


def test_fill_bytes_between_segments_are_no_damage() -> None:
    """Any number of 0xFF may stand before a marker; the orientation behind them still counts."""
    data = encode(PHOTO, "JPEG", exif=exif(6))
    filled = data[:2] + b"\xff\xff" + data[2:]

    assert decode(filled, spec(3, 80, 60), Limits()).tolist() == decode(data, spec(3, 80, 60), Limits()).tolist()


def test_a_damaged_exif_block_does_not_hide_the_picture() -> None:
    """What cannot be read is taken as upright."""
    data = encode(PHOTO, "JPEG", exif=b"Exif\0\0garbage")

    assert decode(data, spec(3, 60, 80), Limits()).shape == (60, 80, 3)


@pytest.mark.parametrize("missing", [2, 3, 50, 100])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_truncated_jpeg_is_refused(mode: str, missing: int) -> None:
    """Nothing is filled with gray, not even when the end marker alone is missing."""
    data = encode(PHOTO, "JPEG", mode)

    with pytest.raises(BadImage, match="image: must be a complete, undamaged JPEG file, got Premature end of JPEG"):
        decode(data[:-missing], spec(3, 8, 8), Limits())


def test_a_marker_that_hides_the_rest_is_refused() -> None:
    """A restart marker has no length: read as one, it would hide the segments that the decoder sees."""
    data = encode(PHOTO, "JPEG")

    with pytest.raises(BadImage, match="no segment at byte 2"):
        decode(data[:2] + b"\xff\xd0" + data[2:], spec(3, 8, 8), Limits())


def test_a_bomb_in_time_is_refused() -> None:
    """A few more bytes per scan would cost a pass over all pixels each."""
    data = encode(PHOTO, "JPEG", progressive=True)
    bomb = data[:-2] + data[data.rindex(b"\xff\xda") : -2] * jpeg.MAX_SCANS + data[-2:]

    with pytest.raises(BadImage, match=r"^image: at most 100 progressive scans, got 110$"):
        decode(bomb, spec(3, 8, 8), Limits())
