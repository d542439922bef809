"""A map of evidence painted over its picture: colours that people with any colour vision can read, and their scale."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from service.core import colormaps
from service.core.errors import InvalidInput
from service.core.perturbation import Pixels

_LEVELS = 255  # odd: the middle one is zero
_STRONGEST = 0.85  # opacity of the largest value
_DIM = 0.75  # of the gray picture below, so that colours stand out
_FONT_PX = 14
_BAR_PX = 16
_MARGIN_PX = 8
_SCALE_PX = 92  # width of the scale with its numbers
_INK, _PAPER = (34, 34, 34), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Overlay:
    """How to paint. Pictures with no side of `min_side` pixels are enlarged by a whole number; `legend` adds the scale.

    `colormap` "" chooses puor for maps with evidence against the class and viridis for others. Raises `InvalidInput`.
    """

    colormap: str = ""
    min_side: int = 280
    legend: bool = True

    def __post_init__(self) -> None:
        if self.colormap and self.colormap not in colormaps.NAMES:
            raise InvalidInput("overlay.colormap", f"one of {', '.join(colormaps.NAMES)}", repr(self.colormap))
        if not 0 <= self.min_side <= 2048:
            raise InvalidInput("overlay.min_side", "0 to 2048 pixels", self.min_side)


@dataclass(frozen=True, slots=True)
class Painted:
    """A PNG; its colours go from `low` to `high`. Diverging colours are symmetric about zero."""

    png: bytes
    colormap: str
    low: float
    high: float


def paint(pixels: Pixels, evidence: NDArray[np.float64], overlay: Overlay, title: str) -> Painted:
    """Evidence [height, width] over the network's own pixels [height, width, channels], which lie below it in gray.

    Opacity grows with the size of a value: where there is no evidence the picture shows.
    """
    name = overlay.colormap or ("puor" if evidence.min() < 0 else "viridis")
    high = float(np.abs(evidence).max())
    low = -high if name in colormaps.DIVERGING else min(float(evidence.min()), 0.0)
    colours = colormaps.table(name, _LEVELS)
    spread = (high - low) or 1.0
    coloured = colours[np.rint((evidence - low) / spread * (_LEVELS - 1)).astype(np.intp)]
    opacity = _STRONGEST * (np.abs(evidence) / (high or 1.0))[..., np.newaxis]
    mixed = (opacity * coloured + (1 - opacity) * _DIM * _gray(pixels)).round().astype(np.uint8)
    zoom = max(1, -(-overlay.min_side // max(mixed.shape[:2])))
    picture = Image.fromarray(mixed.repeat(zoom, axis=0).repeat(zoom, axis=1))
    if overlay.legend:
        picture = _with_legend(picture, colours, (low, high), title)
    return Painted(_png(picture), name, low, high)


def _gray(pixels: Pixels) -> NDArray[np.float64]:
    """Luma [height, width, 1]."""
    shades = pixels[..., 0] if pixels.shape[2] == 1 else np.asarray(Image.fromarray(pixels).convert("L"))
    return shades[..., np.newaxis].astype(np.float64)


def _with_legend(
    picture: Image.Image, colours: NDArray[np.uint8], limits: tuple[float, float], title: str
) -> Image.Image:
    """The title above; on the right the colours with the numbers that they stand for."""
    font = ImageFont.load_default(_FONT_PX)
    top = _FONT_PX + 2 * _MARGIN_PX
    width, height = picture.size
    page = Image.new("RGB", (width + _SCALE_PX, height + top), _PAPER)
    page.paste(picture, (0, top))
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN_PX, _MARGIN_PX // 2), _shortened(title, font, page.width - 2 * _MARGIN_PX), _INK, font)
    bar = Image.fromarray(colours[::-1, np.newaxis]).resize((_BAR_PX, height))
    page.paste(bar, (width + _MARGIN_PX, top))
    low, high = limits
    for value in sorted({low, 0.0, high}):
        at = top + (height - 1) * (1 - (value - low) / ((high - low) or 1.0))
        text_y = min(max(at - _FONT_PX / 2, top), top + height - _FONT_PX - 2)
        draw.text((width + 2 * _MARGIN_PX + _BAR_PX, text_y), f"{value:+.3g}" if value else "0", _INK, font)
    return page


def _shortened(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """As much of a text as fits, with three dots for the rest."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
