"""A layer's maps as one picture that a person can read: a tile for each channel with its number, and a legend.

One range for all tiles, so that they can be compared: from the least to the largest value in viridis, or for maps with
a sign puor, whose middle is zero. Values that are not finite are magenta and crossed out, no a colour of the scale.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from service.core import colormaps
from service.core.graph import Array

_TILE = 96  # pixels that the longer side of a tile comes near to
_GAP = 10
_MARGIN = 20
_LABEL = 16  # height of the line below a tile
_WIDTH = 1200  # of the sheet, about
_BAR = (256, 14)
_NUMBER_CELL = 30  # a unit drawn this large has its value written in
_INK, _PALE, _PAPER, _MAGENTA = (30, 30, 30), (105, 105, 105), (255, 255, 255), (255, 0, 255)
_LEVELS = 192  # of the colour map; with the shades of the text they fit into one palette
_PACK = np.array([1 << 16, 1 << 8, 1], np.uint32)

_Drawn = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scale:
    """Which colour stands for which value."""

    low: float
    high: float
    colormap: str

    @classmethod
    def of(cls, maps: Array, colormap: str = "") -> Scale:
        """Over all finite values of [channels, height, width]; a diverging one is symmetric about zero."""
        finite = maps[np.isfinite(maps)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        name = colormap or ("puor" if low < 0 else "viridis")
        if name in colormaps.DIVERGING:
            high = max(abs(low), abs(high))
            low = -high
        return cls(low, high, name)

    def colours(self, values: Array) -> _Drawn:
        """The colour of each value, uint8 [..., 3]; those that are not finite are magenta."""
        finite = np.isfinite(values)
        share = (np.where(finite, values, self.low) - self.low) / ((self.high - self.low) or 1.0)
        levels = np.rint(np.clip(share, 0, 1) * (_LEVELS - 1)).astype(np.intp)
        colours: _Drawn = colormaps.table(self.colormap, _LEVELS)[levels]
        colours[~finite] = _MAGENTA
        return colours


def sheet(maps: Array, labels: Sequence[str], lines: Sequence[str] = (), *, colormap: str = "") -> bytes:
    """A PNG of [channels, height, width]: the `lines` (the first one large), the legend, and a tile for each label."""
    scale = Scale.of(maps, colormap)
    grid = _Grid.of(maps)
    head = _heading_height(lines)
    width = max(grid.width, _BAR[0] + 160, *(_text_width(line, size) for line, size in _sized(lines)), 0) + 2 * _MARGIN
    picture = Image.new("RGB", (width, head + grid.height + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(picture)
    _write_heading(draw, lines)
    _draw_legend(picture, draw, scale, head - _BAR[1] - 40, has_holes=not np.isfinite(maps).all())
    for index, (tile, label) in enumerate(zip(maps, labels, strict=True)):
        x, y = grid.place(index)
        _draw_tile(picture, draw, (x + _MARGIN, y + head), tile, label, scale, grid)
    file = io.BytesIO()
    _indexed(picture, scale).save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where tiles go: `zoom` is the side of a unit, `columns` how many tiles stand in a row."""

    tile: tuple[int, int]  # height, width, in pixels
    zoom: int
    columns: int
    rows: int

    @classmethod
    def of(cls, maps: Array) -> _Grid:
        count, height, width = maps.shape
        # A single unit needs room for its number only.
        zoom = 48 if max(height, width) == 1 else max(1, round(_TILE / max(height, width)))
        step = width * zoom + _GAP
        columns = max(1, min(math.ceil(math.sqrt(2 * count)), _WIDTH // step, count))
        return cls((height * zoom, width * zoom), zoom, columns, -(-count // columns))

    @property
    def width(self) -> int:
        return self.columns * (self.tile[1] + _GAP) - _GAP

    @property
    def height(self) -> int:
        return self.rows * (self.tile[0] + _GAP + _LABEL)

    def place(self, index: int) -> tuple[int, int]:
        """Left and top of a tile."""
        row, column = divmod(index, self.columns)
        return column * (self.tile[1] + _GAP), row * (self.tile[0] + _GAP + _LABEL)


def _draw_tile(  # noqa: PLR0917 - a drawing hand
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    tile: Array,
    label: str,
    scale: Scale,
    grid: _Grid,
) -> None:
    colours = scale.colours(tile)
    image = Image.fromarray(colours).resize(grid.tile[::-1], Image.Resampling.NEAREST)
    x, y = at
    picture.paste(image, at)
    draw.rectangle((x - 1, y - 1, x + grid.tile[1], y + grid.tile[0]), outline=(200, 200, 200))
    for row, column in np.argwhere(~np.isfinite(tile)):
        left, top = x + column * grid.zoom, y + row * grid.zoom
        right, bottom = left + grid.zoom - 1, top + grid.zoom - 1
        draw.line((left, top, right, bottom), _INK)
        draw.line((left, bottom, right, top), _INK)
    if grid.zoom >= _NUMBER_CELL:
        _write_values(draw, at, tile, colours, grid.zoom)
    draw.text((x + grid.tile[1] / 2, y + grid.tile[0] + 3), label, _PALE, _font(12), anchor="mt")


def _write_values(draw: ImageDraw.ImageDraw, at: tuple[int, int], tile: Array, colours: _Drawn, zoom: int) -> None:
    for (row, column), value in np.ndenumerate(tile):
        light = colours[row, column] @ np.array([0.299, 0.587, 0.114]) > 140  # ITU-R 601
        centre = (at[0] + (column + 0.5) * zoom, at[1] + (row + 0.5) * zoom)
        draw.text(centre, number(float(value), 3), _INK if light else _PAPER, _font(11), anchor="mm")


def _draw_legend(picture: Image.Image, draw: ImageDraw.ImageDraw, scale: Scale, top: int, *, has_holes: bool) -> None:
    """The colour bar with the values of its ends and its middle."""
    width, height = _BAR
    ramp = scale.colours(np.linspace(scale.low, scale.high, width)[np.newaxis].repeat(height, 0))
    picture.paste(Image.fromarray(ramp), (_MARGIN, top))
    draw.rectangle((_MARGIN - 1, top - 1, _MARGIN + width, top + height), outline=(200, 200, 200))
    for share, anchor in ((0.0, "lt"), (0.5, "mt"), (1.0, "rt")):
        x = _MARGIN + share * width
        draw.line((x, top + height, x, top + height + 4), _PALE)
        value = scale.low + share * (scale.high - scale.low)
        draw.text((x, top + height + 7), number(value), _INK, _font(12), anchor=anchor)
    if has_holes:
        left = _MARGIN + width + 24
        draw.rectangle((left, top, left + height, top + height), fill=_MAGENTA)
        draw.line((left, top, left + height, top + height), _INK)
        draw.line((left, top + height, left + height, top), _INK)
        draw.text((left + height + 6, top + height / 2), "not finite", _INK, _font(12), anchor="lm")


def _heading_height(lines: Sequence[str]) -> int:
    return _MARGIN + sum(size + 8 for _, size in _sized(lines)) + _BAR[1] + 50


def _write_heading(draw: ImageDraw.ImageDraw, lines: Sequence[str]) -> None:
    y = _MARGIN
    for line, size in _sized(lines):
        draw.text((_MARGIN, y), line, _INK if size > 14 else _PALE, _font(size), anchor="lt")
        y += size + 8


def _sized(lines: Sequence[str]) -> list[tuple[str, int]]:
    return [(line, 14 if index else 22) for index, line in enumerate(lines)]


def _text_width(line: str, size: int) -> int:
    return math.ceil(_font(size).getlength(line))


def number(value: float, digits: int = 4) -> str:
    """Rounded to so many digits, without those that say nothing."""
    return f"{value:.{digits}g}"


def _indexed(picture: Image.Image, scale: Scale) -> Image.Image:
    """The same picture with a palette, a third of the size. Only shades of grey that are no value's are rounded."""
    pixels = np.asarray(picture).copy()
    text = (pixels == pixels[..., :1]).all(axis=2)
    if scale.colormap != "gray":
        text &= pixels[..., 0] != _middle(scale)
        pixels[text] = np.minimum(pixels[text].astype(np.int_) // 8 * 9, 255)
    colours, indices = np.unique(pixels.astype(np.uint32) @ _PACK, return_inverse=True)
    if len(colours) > 256:  # numbers written over colours
        return picture
    indexed = Image.fromarray(indices.reshape(text.shape).astype(np.uint8))
    indexed.putpalette((colours[:, np.newaxis] // _PACK % 256).astype(np.uint8).tobytes())
    return indexed


def _middle(scale: Scale) -> int:
    """The grey that stands for zero on diverging maps."""
    return int(colormaps.table(scale.colormap, 3)[1, 0])


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
