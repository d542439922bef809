"""Sheets of maps: what a person sees must be what the numbers are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.commands.sheets import Scale, number, sheet
from service.core import colormaps

RAMP = np.arange(12 * 12, dtype=np.float32).reshape(1, 12, 12)


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


def tile(png: bytes, maps: NDArray[np.float32], index: int = 0) -> NDArray[np.uint8]:
    """One pixel of each unit of a tile on a sheet without a heading, found by its colours' place in the layout."""
    zoom = round(96 / max(maps.shape[1:]))
    top, left = 20 + 14 + 50, 20 + index * (maps.shape[2] * zoom + 10)
    middle = zoom // 2
    part = pixels(png)[top : top + maps.shape[1] * zoom, left : left + maps.shape[2] * zoom]
    return part[middle::zoom, middle::zoom]


@pytest.mark.parametrize(("maps", "name"), [(RAMP, "viridis"), (RAMP - 50, "puor")])
def test_every_unit_has_the_colour_of_its_value(maps: NDArray[np.float32], name: str) -> None:
    """Exactly, palette or not; maps with a sign are drawn about zero."""
    scale = Scale.of(maps)

    assert scale.colormap == name
    assert np.array_equal(tile(sheet(maps, ["0"]), maps), scale.colours(maps)[0])


def test_zero_is_the_middle_of_maps_with_a_sign() -> None:
    """However lopsided they are."""
    scale = Scale.of(np.array([[[-1.0, 9.0]]], np.float32))

    assert (scale.low, scale.high) == (-9, 9)
    light = scale.colours(np.array(0.0)).astype(int)
    assert light.min() > 240
    assert np.array_equal(scale.colours(np.array(9.0)), colormaps.table("puor", 2)[1])


def test_all_tiles_share_one_scale() -> None:
    """A faint channel stays faint beside a strong one."""
    maps = np.concatenate([RAMP, RAMP / 100])
    faint = tile(sheet(maps, ["0", "1"]), maps, index=1)

    assert np.array_equal(faint, Scale.of(RAMP).colours(maps[1]))


def test_what_is_not_finite_is_no_colour_of_the_scale() -> None:
    """Magenta, and left out of the range; a layer of nothing else is drawn, too."""
    maps = np.array([[[0.0, np.nan], [np.inf, 4.0]]], np.float32)
    scale = Scale.of(maps)

    assert (scale.low, scale.high) == (0, 4)
    assert scale.colours(maps)[0, 0, 1].tolist() == scale.colours(maps)[0, 1, 0].tolist() == [255, 0, 255]
    assert pixels(sheet(np.full((1, 2, 2), np.nan, np.float32), ["0"])).size > 0


def test_large_layers_fit_a_page() -> None:
    """1152 channels of 7 x 7 in rows, no wider than a screen."""
    height, width, _ = pixels(sheet(np.zeros((1152, 7, 7), np.float32), [str(n) for n in range(1152)])).shape

    assert width <= 1300
    assert height > 1152 / 12 * 98


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (43.0, "43"), (-1234.567, "-1235"), (1e-7, "1e-07")])
def test_numbers_are_short(value: float, text: str) -> None:
    """What fits into a legend."""
    assert number(value) == text
