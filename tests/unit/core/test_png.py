from __future__ import annotations

import importlib.util
import io
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.core import png
from service.core.errors import BadImage
from service.core.image import Limits, decode, inspect
from tests.unit.core.encoded import encode, photo, spec
from tests.unit.core.encoded import png as packed

GRAY = photo(9, 7)[:, :, 0]
FILE = encode(GRAY, "PNG")


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
)
def test_both_decoders_see_the_same_pixels(height: int, width: int, channels: int, seed: int) -> None:
    """What libspng decodes is what was written, as with Pillow."""
    picture = photo(height, width, channels, seed)
    file = encode(picture if channels == 3 else picture[:, :, 0], "PNG")

    pixels = png.decode_plain(file, png.check(file))

    assert pixels is not None
    assert pixels.tolist() == picture.tolist()
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(encode(photo(9, 7), "PNG", "P"), id="palette"),
        pytest.param(encode(photo(9, 7), "PNG", "RGBA"), id="alpha"),
        pytest.param(encode(GRAY.astype(np.uint16) * 257, "PNG"), id="16 bit"),
        pytest.param(packed((1, 1), 8, 0, [b"\x05"], tRNS=b"\0\5"), id="colour key"),
        pytest.param(encode(photo(129, 128), "PNG"), id="large"),
    ],
)
def test_other_kinds_are_left_to_pillow(file: bytes) -> None:
    """Whatever libspng would decode differently, or for too long with the GIL held."""
    assert png.decode_plain(file, png.check(file)) is None


def test_without_libspng_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package has no wheel, the module leaves every picture to Pillow, and the pixels are the same."""
    monkeypatch.setitem(sys.modules, "pyspng", None)
    module_spec = importlib.util.spec_from_file_location("png_by_pillow", str(png.__file__))
    assert module_spec is not None
    assert module_spec.loader is not None
    without = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(without)

    assert without.decode_plain(FILE, png.check(FILE)) is None
    monkeypatch.setattr(png, "pyspng", None)
    assert decode(FILE, spec(1, 9, 7), Limits())[:, :, 0].tolist() == GRAY.tolist()


def test_a_wrong_checksum_is_damage() -> None:
    """A changed byte inside a chunk is found, even one that changes no pixel."""
    at = FILE.index(b"IDAT") + 6
    damaged = FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at + 1 :]

    with pytest.raises(BadImage, match="undamaged PNG"):
        decode(damaged, spec(1, 9, 7), Limits())


@pytest.mark.parametrize("missing", [1, 4, 12])
def test_a_file_must_have_its_end(missing: int) -> None:
    """All pixels are there, and still the file is not complete."""
    with pytest.raises(BadImage, match="undamaged PNG"):
        decode(FILE[:-missing], spec(1, 9, 7), Limits())


def test_too_few_pixels_are_damage() -> None:
    """The chunks are whole, but hold one row of nine."""
    header = FILE[: FILE.index(b"IDAT") - 4]
    body = b"IDAT" + zlib.compress(b"\0" + bytes(7))
    file = header + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + FILE[-12:]

    with pytest.raises(BadImage, match="undamaged PNG"):
        decode(file, spec(1, 9, 7), Limits())


def test_the_size_is_read_from_the_header_chunk() -> None:
    """Nothing else may come first."""
    with pytest.raises(BadImage, match="IHDR"):
        inspect(FILE[:12] + b"IDAT" + FILE[16:], Limits())


def test_interlaced_files_are_decoded_whole() -> None:
    """Adam7 is Pillow's work; this one was written by hand: one pixel, one pass."""
    file = packed((1, 1), 8, 0, [b"\x2a"])
    interlaced = bytearray(file)
    interlaced[28] = 1
    interlaced[29:33] = struct.pack(">I", zlib.crc32(interlaced[12:29]))

    assert decode(bytes(interlaced), spec(1, 1, 1), Limits()).tolist() == [[[42]]]
    assert Image.open(io.BytesIO(interlaced)).info["interlace"] == 1
