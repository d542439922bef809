"""Whatever comes in, out comes a picture for the network or `BadImage`, never anything else."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import BadImage
from service.core.image import Header, Limits, decode, inspect, prepare
from service.core.spec import Interpolation, Resize
from tests.unit.core.encoded import encode, exif, photo, spec

LIMITS = Limits(max_pixels=250_000)
PICTURE = photo(19, 27)
ALPHA = np.dstack([PICTURE, PICTURE[:, :, :1]])
FILES = {
    "JPEG": encode(PICTURE, "JPEG", exif=exif(6)),
    "JPEG progressive": encode(PICTURE, "JPEG", progressive=True),
    "JPEG gray": encode(PICTURE, "JPEG", "L"),
    "JPEG CMYK": encode(PICTURE, "JPEG", "CMYK"),
    "PNG": encode(ALPHA, "PNG", exif=exif(3)),
    "PNG palette": encode(PICTURE, "PNG", "P", transparency=3),
    "PNG 16-bit": encode(PICTURE[:, :, 0].astype(np.uint16) * 257, "PNG"),
    "WebP": encode(ALPHA, "WebP", exif=exif(8)),
    "WebP lossless": encode(PICTURE, "WebP", lossless=True),
    "GIF": encode(PICTURE, "GIF"),
    "BMP": encode(PICTURE, "BMP"),
    "BMP palette": encode(PICTURE, "BMP", "P"),
    "TIFF": encode(PICTURE, "TIFF"),
    "TIFF 16-bit": encode(PICTURE[:, :, 0].astype(np.uint16) * 257, "TIFF"),
    "TIFF LZW": encode(ALPHA, "TIFF", compression="tiff_lzw"),
    "TIFF JPEG": encode(PICTURE, "TIFF", compression="jpeg"),
}
MAGIC = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBPVP8 "]
FUZZ = settings(max_examples=60, deadline=None)
KINDS = pytest.mark.parametrize("kind", FILES)


def classify_or_refuse(data: bytes) -> None:
    """What the server does with a file: look at it, then decode it; only `BadImage` may come of it."""
    with contextlib.suppress(BadImage):
        assert isinstance(inspect(data, LIMITS), Header)
        assert decode(data, spec(3, 8, 9, resize="crop"), LIMITS).shape == (8, 9, 3)


@FUZZ
@given(data=st.binary(max_size=400), magic=st.sampled_from([b"", *MAGIC]))
def test_random_bytes(data: bytes, magic: bytes) -> None:
    """Noise, also behind the magic bytes of each format."""
    classify_or_refuse(magic + data)


@KINDS
@FUZZ
@given(data=st.data())
def test_truncated_files(kind: str, data: st.DataObject) -> None:
    """Any real file may end anywhere."""
    classify_or_refuse(FILES[kind][: data.draw(st.integers(0, len(FILES[kind]) - 1))])


@KINDS
@FUZZ
@given(data=st.data())
def test_damaged_files(kind: str, data: st.DataObject) -> None:
    """Some bytes of a real file were replaced, most of them near its beginning, where the structure is."""
    file = bytearray(FILES[kind])
    places = st.integers(0, min(150, len(file) - 1)) | st.integers(0, len(file) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)):
        file[place] = value
    classify_or_refuse(bytes(file))


@KINDS
def test_whole_files(kind: str) -> None:
    """Undamaged, each of them is a picture."""
    assert inspect(FILES[kind], LIMITS).format == kind.split(maxsplit=1)[0]
    assert decode(FILES[kind], spec(3, 8, 9), LIMITS).shape == (8, 9, 3)


@FUZZ
@given(
    source=st.tuples(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3])),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    resize=st.sampled_from(["stretch", "crop", "pad"]),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    fraction=st.floats(0.01, 1),
)
def test_pixels_of_any_size(
    source: tuple[int, int, int],
    target: tuple[int, int],
    resize: Resize,
    interpolation: Interpolation,
    fraction: float,
) -> None:
    """A picture of one colour keeps it, whatever its size and the network's."""
    model = spec(3, *target, resize=resize, interpolation=interpolation, crop_fraction=fraction, background=99)

    pixels = prepare(np.full(source, 99, np.uint8), model)

    assert pixels.shape == (*target, 3)
    assert np.unique(pixels).tolist() == [99]
