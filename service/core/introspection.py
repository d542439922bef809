"""What is asked of a model's inside, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from service.core.encodings import Encoding, Shape
from service.core.geometry import Box
from service.core.layers import LayerInfo, Selector
from service.core.maps import Wanted
from service.core.messages import NEVER, ModelKey, Prediction
from service.core.statistics import Statistics
from service.core.units import Explained, Place


class Kernels(Enum):
    """Which arithmetic is looked at."""

    REFERENCE = "reference"  #: CPU, fp32, the graph as it is written
    UNFUSED = "unfused"  #: CPU, fp32, the layouts that serving is quick by, but no layer that is asked for fused away
    AS_SERVED = "as served"  #: the provider, precision and optimisation of the serving session


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, or the id of one that was sent before: its SHA-256 in hex.

    With `keep`, it is remembered for a while, so that the next question needs the id only. With `pixels`, `image` is
    the network's own input, uint8 [height, width, channels]; that is never kept.
    """

    image: bytes = b""
    id: str = ""
    keep: bool = True
    pixels: bool = False


@dataclass(frozen=True, slots=True)
class MapsRequest:
    """Feature maps of some layers for some pictures. `max_bytes` 0 is the server's own limit.

    Without `kernels`, values are REFERENCE, and statistics alone UNFUSED: of every layer, too, and sooner there.
    `deadline` is in seconds of the monotonic clock. A `dry_run` computes nothing and tells the sizes; it needs no
    picture and prices one.
    """

    model: str
    version: int
    pictures: tuple[Picture, ...]
    layers: Selector = field(default_factory=Selector)
    wanted: Wanted = field(default_factory=Wanted)
    encoding: Encoding = field(default_factory=Encoding)
    kernels: Kernels | None = None
    max_bytes: int = 0
    dry_run: bool = False
    deadline: float = NEVER

    @property
    def arithmetic(self) -> Kernels:
        """Which kernels answer."""
        return self.kernels or (Kernels.REFERENCE if self.encoding.kind.has_values else Kernels.UNFUSED)


@dataclass(frozen=True, slots=True)
class UnitRequest:
    """The arithmetic of one unit for one picture."""

    model: str
    version: int
    picture: Picture
    layer: str
    place: Place
    deadline: float = NEVER


@dataclass(frozen=True, slots=True)
class Listing:
    """The chosen layers of one model version. `names_modules` is False for a file that tells none of its modules."""

    key: ModelKey
    digest: str
    layers: tuple[LayerInfo, ...]
    names_modules: bool


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the tapped network is from the serving one.

    When the taps need only the first part of the network, no logits are computed; then the difference is that of the
    whole network with the same kernels, measured on an earlier picture, and `here` is False.
    """

    max_logit_difference: float
    here: bool


@dataclass(frozen=True, slots=True)
class Classified:
    """One picture's id (empty if it was not kept) and what the serving session calls it."""

    picture_id: str
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class RunHeader:
    """First event. `parity` is that of the first run, None in a dry run; `total_bytes` of all values to come.

    `kernels` are those that the values come from.
    """

    key: ModelKey
    digest: str
    pictures: tuple[Classified, ...]
    parity: Parity | None
    total_bytes: int
    layers: int
    kernels: Kernels


@dataclass(frozen=True, slots=True)
class LayerHeader:
    """Before the bytes of one layer for one picture. `ordinal` counts these headers from 0.

    `shape` is that of the encoded values [channels, height, width], `box` the region in units, `channels` their indices
    in the layer. `scale` and `offset` read UINT8 and PNG, `scale` and `zero_point` the integers of STORED:
    value = scale * (integer - zero_point); without them, STORED are floats. In a dry run, `size_bytes` is an upper
    bound for PNG, there are no statistics, and ranked channels are not known.
    """

    ordinal: int
    layer: LayerInfo
    picture: int
    shape: Shape
    channels: tuple[int, ...]
    box: Box
    size_bytes: int
    statistics: Statistics | None = None
    per_channel: tuple[Statistics, ...] = ()
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    colormap: str = ""
    not_finite: tuple[int, ...] = ()
    zero_point: tuple[int, ...] = ()
    dtype: str = ""  #: NumPy's name of the type in which STORED values came


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of the layer last announced."""

    ordinal: int
    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LayerEnd:
    """After the bytes of one layer: their CRC-32 (as in zlib, gzip and PNG)."""

    ordinal: int
    crc32: int


@dataclass(frozen=True, slots=True)
class RunEnd:
    """Last event: the worst parity of all runs, and what it took. `build_s` is the time to build tap sessions."""

    parity: Parity | None
    build_s: float
    compute_s: float
    sent_bytes: int


MapsEvent = RunHeader | LayerHeader | Chunk | LayerEnd | RunEnd


@dataclass(frozen=True, slots=True)
class UnitAnswer:
    """One unit explained. `field` is what it sees of the input, clipped to it; None where that is not known."""

    key: ModelKey
    digest: str
    picture_id: str
    layer: LayerInfo
    place: Place
    explained: Explained
    field: Box | None
    parity: Parity
    tensors: Mapping[str, str]  #: tensor -> the layer that a person knows it as
