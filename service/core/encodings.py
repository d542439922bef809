"""How feature maps travel: numbers, bytes with a scale, or a picture."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core import colormaps
from service.core.errors import InvalidInput
from service.core.graph import Array

Shape = tuple[int, int, int]  #: channels, height, width


class Kind(Enum):
    """Numbers are little-endian and in C order, [channels, height, width]."""

    STATISTICS = "statistics"  #: no values at all
    FLOAT32 = "float32"
    FLOAT16 = "float16"  #: what lies outside its range becomes infinite
    UINT8 = "uint8"  #: value = offset + scale * byte
    PNG = "png"  #: one picture of tiles, row by row
    NPY = "npy"  #: a NumPy file of [1, channels, height, width] in the layer's own type
    STORED = "stored"  #: as the network holds them: floats, or the integers of an INT8 network

    @property
    def has_values(self) -> bool:
        """Whether values travel at all."""
        return self is not Kind.STATISTICS


class Range(Enum):
    """Which values the 256 levels of UINT8, or the colours of PNG, stand for."""

    PER_CHANNEL = "per channel"
    PER_LAYER = "per layer"
    SYMMETRIC = "symmetric"  #: per layer, about zero
    FIXED = "fixed"  #: from `low` to `high`
    PERCENTILE = "percentile"  #: per layer, from `percentile` to 100 minus it


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a caller wants to read.

    `colormap` "" chooses puor for maps with a sign and viridis for others; with a diverging one the range is made
    symmetric about zero, unless it is FIXED. Maps with a side of more than `max_side` are averaged down (PNG, UINT8),
    tiles of less than `min_side` are enlarged (PNG); 0 does neither. Raises `InvalidInput`.
    """

    kind: Kind = Kind.STATISTICS
    range: Range = Range.PER_CHANNEL
    low: float = 0.0
    high: float = 0.0
    percentile: float = 1.0
    colormap: str = ""
    max_side: int = 0
    min_side: int = 0
    tile_columns: int = 0

    def __post_init__(self) -> None:
        if self.colormap and self.colormap not in colormaps.NAMES:
            raise InvalidInput("encoding.colormap", f"one of {', '.join(colormaps.NAMES)}", repr(self.colormap))
        if self.range is Range.FIXED and not (math.isfinite(self.high - self.low) and self.low < self.high):
            raise InvalidInput("encoding.low", f"must be finite and below high, {self.high}", self.low)
        if self.range is Range.PERCENTILE and not 0 <= self.percentile < 50:
            raise InvalidInput("encoding.percentile", "0 to below 50", self.percentile)


@dataclass(frozen=True, slots=True)
class Encoded:
    """The bytes, and what is needed to read them.

    `scale` and `offset` have one entry a channel, or one for all; `shape` is that of the values after `max_side`.
    `not_finite` are the flat positions of NaN and infinities in UINT8, which its levels cannot hold (their byte is 0).
    """

    data: bytes
    shape: Shape
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    colormap: str = ""
    not_finite: tuple[int, ...] = ()
    dtype: str = ""  #: of STORED: NumPy's name


#: Kinds in which each channel is as many bytes as the next.
_PLAIN = frozenset({Kind.FLOAT32, Kind.FLOAT16, Kind.UINT8, Kind.STORED})
_NPY_HEADER_BYTES = 128
_GAP = 1  # pixels between tiles
_SLAB = 1 << 15  # values: 256 KB in float64
_LEVELS = 254  # of a picture: two more stand for "no tile" and "not finite"
_NO_TILE, _NOT_FINITE = 254, 255
_WHITE, _MAGENTA = (255, 255, 255), (255, 0, 255)


def price(shape: Shape, itemsize: int, encoding: Encoding) -> int:
    """Bytes that maps of `shape` take; an upper bound for PNG, exact for the others."""
    channels, height, width = shape
    match encoding.kind:
        case Kind.STATISTICS:
            return 0
        case Kind.FLOAT32:
            return 4 * math.prod(shape)
        case Kind.FLOAT16:
            return 2 * math.prod(shape)
        case Kind.STORED | Kind.NPY:
            header = _NPY_HEADER_BYTES if encoding.kind is Kind.NPY else 0
            return header + itemsize * math.prod(shape)
        case Kind.UINT8:
            return channels * math.prod(_reduced((height, width), encoding.max_side))
        case _:  # PNG
            rows, columns = _sheet(shape, encoding)
            # Stored without compression, a row takes one byte more; 2048 covers palette, headers and blocks.
            return rows * (columns + 1) + rows * columns // 1000 + 2048


def encode(maps: Array, encoding: Encoding) -> Encoded:  # noqa: PLR0911  # one case per kind
    """Encode [channels, height, width] of any type; raises `InvalidInput` when the kind cannot hold them."""
    channels, height, width = maps.shape
    shape = (channels, height, width)
    match encoding.kind:
        case Kind.STATISTICS:
            return Encoded(b"", shape)
        case Kind.FLOAT32:
            return Encoded(maps.astype("<f4", order="C").tobytes(), shape)
        case Kind.FLOAT16:
            with np.errstate(over="ignore"):
                return Encoded(maps.astype("<f2", order="C").tobytes(), shape)
        case Kind.STORED:
            little = maps.astype(maps.dtype.newbyteorder("<"), order="C")
            return Encoded(little.tobytes(), shape, dtype=maps.dtype.name)
        case Kind.NPY:
            return Encoded(_npy(maps[np.newaxis]), shape)
        case Kind.UINT8:
            return _uint8(_shrink(maps, encoding.max_side), encoding)
        case _:  # PNG
            return _png(_shrink(maps, encoding.max_side), encoding)


def chunks(encoded: Encoded, kind: Kind, limit: int) -> list[tuple[int, bytes]]:
    """The bytes in pieces of at most `limit`, each with its offset; whole channels where they fit."""
    channels = encoded.shape[0]
    plain = kind in _PLAIN and channels > 0
    channel = len(encoded.data) // channels if plain else 0
    step = limit // channel * channel if 0 < channel <= limit else limit
    return [(start, encoded.data[start : start + step]) for start in range(0, len(encoded.data), step)]


def _npy(values: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


def _uint8(maps: Array, encoding: Encoding) -> Encoded:
    finite = np.isfinite(maps)
    low, high = _limits(maps, finite, encoding, diverging=False)
    levels = _quantise(maps, low, high, 255)
    strange = [] if finite.all() else np.flatnonzero(~finite).tolist()
    levels.flat[strange] = 0
    return Encoded(
        data=levels.tobytes(),
        shape=_shape(maps),
        scale=_numbers((high - low) / 255),
        offset=_numbers(low),
        not_finite=tuple(strange),
    )


def _png(maps: Array, encoding: Encoding) -> Encoded:
    name = encoding.colormap or ("puor" if (maps < 0).any() else "viridis")
    finite = np.isfinite(maps)
    low, high = _limits(maps, finite, encoding, diverging=name in colormaps.DIVERGING)
    levels = _quantise(maps, low, high, _LEVELS - 1)
    levels[~finite] = _NOT_FINITE
    return Encoded(
        data=_picture(_tiles(levels, encoding), name),
        shape=_shape(maps),
        scale=_numbers((high - low) / (_LEVELS - 1)),
        offset=_numbers(low),
        colormap=name,
    )


def _limits(
    maps: Array, finite: NDArray[np.bool_], encoding: Encoding, *, diverging: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest value shown, per channel or one for all; 0 where no value is finite."""
    groups = (len(maps), -1) if encoding.range is Range.PER_CHANNEL else (1, -1)
    values, shown = maps.reshape(groups), finite.reshape(groups)
    match encoding.range:
        case Range.FIXED:
            low, high = np.array([encoding.low]), np.array([encoding.high])
        case Range.PERCENTILE:
            among = values[shown].astype(np.float64)
            percents = [encoding.percentile, 100 - encoding.percentile]
            low, high = np.percentile(among, percents).reshape(2, 1) if among.size else np.zeros((2, 1))
        case _:
            low, high = _extremes(values, shown)
    if encoding.range is Range.SYMMETRIC or (diverging and encoding.range is not Range.FIXED):
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    return low, high


def _extremes(values: Array, finite: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the finite ones in each row; 0 where there is none."""
    if finite.all():
        return values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)
    low = values.min(axis=1, where=finite, initial=np.inf).astype(np.float64)
    high = values.max(axis=1, where=finite, initial=-np.inf).astype(np.float64)
    empty = ~finite.any(axis=1)
    low[empty] = high[empty] = 0.0
    return low, high


def _quantise(maps: Array, low: NDArray[np.float64], high: NDArray[np.float64], top: int) -> NDArray[np.uint8]:
    """Levels 0 to `top`, nearest to each finite value; any for the others."""
    spread = high - low
    factor = top / np.where(spread == 0, 1.0, spread)
    levels = np.empty(maps.shape, np.uint8)
    step = max(1, _SLAB // max(1, maps[0].size))
    with np.errstate(invalid="ignore"):
        for start in range(0, len(maps), step):  # as many channels as stay in the cache
            slab = slice(start, start + step)
            of = slab if len(low) > 1 else slice(None)
            steps = maps[slab].astype(np.float64)
            steps -= low[of, np.newaxis, np.newaxis]
            steps *= factor[of, np.newaxis, np.newaxis]
            np.rint(steps, out=steps)
            np.maximum(steps, 0, out=steps)
            np.minimum(steps, top, out=steps)
            levels[slab] = steps
    return levels


def _tiles(levels: NDArray[np.uint8], encoding: Encoding) -> NDArray[np.uint8]:
    """All maps on one sheet, `_GAP` pixels apart."""
    zoom = _zoom(levels.shape[1:], encoding)
    grown = levels.repeat(zoom, axis=1).repeat(zoom, axis=2)
    _, height, width = grown.shape
    columns = _columns(len(grown), encoding)
    sheet = np.full(_sheet(_shape(levels), encoding), _NO_TILE, np.uint8)
    for index, tile in enumerate(grown):
        row, column = divmod(index, columns)
        y, x = row * (height + _GAP), column * (width + _GAP)
        sheet[y : y + height, x : x + width] = tile
    return sheet


def _picture(sheet: NDArray[np.uint8], colormap: str) -> bytes:
    colours = np.vstack([colormaps.table(colormap, _LEVELS), [_WHITE, _MAGENTA]]).astype(np.uint8)
    image = Image.fromarray(sheet)
    image.putpalette(colours.tobytes(), "RGB")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _sheet(shape: Shape, encoding: Encoding) -> tuple[int, int]:
    """Pixels of the picture of tiles: rows and columns."""
    height, width = _reduced(shape[1:], encoding.max_side)
    zoom = _zoom((height, width), encoding)
    columns = _columns(shape[0], encoding)
    rows = -(-shape[0] // columns)
    return rows * (height * zoom + _GAP) - _GAP, columns * (width * zoom + _GAP) - _GAP


def _columns(channels: int, encoding: Encoding) -> int:
    return min(encoding.tile_columns or math.ceil(math.sqrt(channels)), channels)


def _zoom(size: tuple[int, ...], encoding: Encoding) -> int:
    return max(1, -(-encoding.min_side // max(size)))


def _reduced(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The size with no side longer than `max_side`, in the same ratio."""
    longest = max(size)
    if not max_side or longest <= max_side:
        return size
    height, width = (max(1, round(side * max_side / longest)) for side in size)
    return height, width


def _shrink(maps: Array, max_side: int) -> Array:
    """Average over areas."""
    height, width = _reduced((maps.shape[1], maps.shape[2]), max_side)
    if (height, width) == maps.shape[1:]:
        return maps
    pictures = (Image.fromarray(channel.astype(np.float32)) for channel in maps)
    return np.stack([np.asarray(picture.resize((width, height), Image.Resampling.BOX)) for picture in pictures])


def _shape(maps: Array) -> Shape:
    channels, height, width = maps.shape
    return (channels, height, width)


def _numbers(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(values.tolist())
