from __future__ import annotations

import struct

import numpy as np
import pytest

from service.core import exif


def block(order: str, *entries: tuple[int, int]) -> bytes:
    """A TIFF directory of SHORTs in the byte order "<" or ">"."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    rows = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    return magic + struct.pack(order + "IH", 8, len(entries)) + rows


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"Exif\0\0", b""])
def test_the_orientation_is_found_among_other_tags(order: str, prefix: bytes) -> None:
    """Both byte orders occur, and PNG and WebP leave the prefix out."""
    assert exif.orientation(prefix + block(order, (0x0100, 7), (0x0112, 6))) == 6


@pytest.mark.parametrize(
    "data",
    [b"", b"Exif\0\0", b"neither order", block("<"), block("<", (0x0100, 7)), block("<", (0x0112, 6))[:-6], b"II*\0"],
)
def test_what_says_nothing_is_upright(data: bytes) -> None:
    """Missing, empty and cut blocks leave the picture as it is."""
    assert exif.orientation(data) == 1


def test_an_orientation_that_does_not_exist_changes_nothing() -> None:
    """Cameras write 0 for unknown."""
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)

    assert exif.upright(pixels, 0) is pixels


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[0, 1, 2], [3, 4, 5]]),
        (2, [[2, 1, 0], [5, 4, 3]]),
        (3, [[5, 4, 3], [2, 1, 0]]),
        (4, [[3, 4, 5], [0, 1, 2]]),
        (5, [[0, 3], [1, 4], [2, 5]]),
        (6, [[3, 0], [4, 1], [5, 2]]),
        (7, [[5, 2], [4, 1], [3, 0]]),
        (8, [[2, 5], [1, 4], [0, 3]]),
    ],
)
def test_each_orientation_is_undone(orientation: int, expected: list[list[int]]) -> None:
    """EXIF names where row 0 and column 0 of the stored picture belong."""
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)

    assert exif.upright(pixels, orientation)[:, :, 0].tolist() == expected
