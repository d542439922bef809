"""Evidence for a class: what can be asked, and what comes back."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput
from service.core.faithfulness import Check, Faithfulness
from service.core.introspection import Classified, Parity, Picture
from service.core.layers import LayerInfo
from service.core.messages import NEVER, ModelKey
from service.core.overlay import Overlay, Painted
from service.core.perturbation import Fill, Occlusion, Rise
from service.core.saliency import Placement

Map = NDArray[np.float32]  # [height, width]

_NEAREST = 3


class Method(Enum):
    """How evidence is found. The names are those of the literature, which `saliency` and `perturbation` cite."""

    AUTO = "auto"  #: the most exact one that the network allows: the first of the next five that applies
    CAM = "cam"
    HIRES_CAM = "hirescam"
    GRAD_CAM = "gradcam"
    RECIPRO_CAM = "reciprocam"
    LAYER_CAM = "layercam"
    OCCLUSION = "occlusion"
    RISE = "rise"


#: By index in the logits, or by label (digits that are no label are an index); None is the best class of the picture.
Target = int | str | None


@dataclass(frozen=True, slots=True)
class AttributionRequest:
    """Evidence for `target` in a picture; with `versus`, for `target` rather than `versus`.

    `class_weights` [classes] asks for any other sum of logits instead. `layer` is for the methods that look into one,
    "" for the last map that everything goes through. With `signed`, evidence against the class stays in the maps of
    GRAD_CAM, HIRES_CAM and LAYER_CAM, which their authors cut off. RISE and OCCLUSION send `snapshots` maps on the way.
    `deadline` is in seconds of the monotonic clock. Raises `InvalidInput`.
    """

    model: str
    version: int
    picture: Picture
    method: Method = Method.AUTO
    layer: str = ""
    target: Target = None
    versus: Target = None
    class_weights: tuple[float, ...] = ()
    signed: bool = False
    fill: Fill = Fill.MEAN
    occlusion: Occlusion = field(default_factory=Occlusion)
    rise: Rise = field(default_factory=Rise)
    overlay: Overlay | None = None
    check: Check | None = None
    snapshots: int = 0
    deadline: float = NEVER

    def __post_init__(self) -> None:
        if self.class_weights and (self.target is not None or self.versus is not None):
            raise InvalidInput("class_weights", "stand alone, without target and versus", len(self.class_weights))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: the sum of `weights` [classes] times logits, and the class that it is for."""

    weights: NDArray[np.float64]
    target: int
    versus: int | None = None

    def score(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of logits [N, classes]: [N]."""
        scores: NDArray[np.float64] = logits.astype(np.float64) @ self.weights
        return scores


def question(request: AttributionRequest, logits: NDArray[np.float32], labels: Sequence[str]) -> Question:
    """What a request asks, given the logits [classes] of its picture. Raises `InvalidInput`."""
    if request.class_weights:
        weights = np.array(request.class_weights)
        if len(weights) != len(labels) or not np.isfinite(weights).all() or not weights.any():
            limit = f"{len(labels)} finite numbers, not all zero: one a class"
            raise InvalidInput("class_weights", limit, f"{len(weights)} numbers")
        return Question(weights, int(weights.argmax()))
    target = int(logits.argmax()) if request.target is None else _index("target", request.target, labels)
    versus = None if request.versus is None else _index("versus", request.versus, labels)
    if versus == target:
        raise InvalidInput("versus", "another class than target", repr(labels[target]))
    weights = np.zeros(len(labels))
    weights[target] = 1
    if versus is not None:
        weights[versus] = -1
    return Question(weights, target, versus)


def _index(name: str, wanted: int | str, labels: Sequence[str]) -> int:
    if isinstance(wanted, str) and wanted not in labels and wanted.isdecimal():
        wanted = int(wanted)
    if isinstance(wanted, int):
        if not 0 <= wanted < len(labels):
            raise InvalidInput(f"{name}.index", f"0 to {len(labels) - 1}", wanted)
        return wanted
    if wanted not in labels:
        nearest = difflib.get_close_matches(wanted, labels, n=_NEAREST, cutoff=0.0)
        raise InvalidInput(f"{name}.label", f"a label of the model; nearest are {', '.join(nearest)}", repr(wanted))
    return labels.index(wanted)


@dataclass(frozen=True, slots=True)
class AttributionHeader:
    """First event: what will be computed, and why so.

    `method` is never AUTO, `reason` says why it was chosen ("" if the caller did); `layer` is None for methods that
    look into none; `runs` counts the pictures, or maps, that will go through the network or its head.
    """

    key: ModelKey
    digest: str
    picture: Classified
    method: Method
    reason: str
    layer: LayerInfo | None
    target: int
    versus: int | None
    labels: tuple[str, ...]  #: of target, and of versus if there is one
    runs: int


@dataclass(frozen=True, slots=True)
class AttributionProgress:
    """So many of the header's `runs` are done; `values` is the map so far, now and then."""

    done: int
    values: Map | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AttributionResult:
    """Last event. `values` is the map in its own resolution, `placement` where its cells lie on the input's pixels.

    `score` is the sum of class weights times logits; `total` that of the map. Where the network behind the layer is
    linear, `bias` is what it gives for an empty map, and `residual` = |total + bias - score|: the map then tells the
    whole score, to the last digit. Both are NaN elsewhere, and for a map that was cut at zero.
    """

    values: Map = field(repr=False)
    placement: Placement
    score: float
    total: float
    parity: Parity
    bias: float = math.nan
    residual: float = math.nan
    painted: Painted | None = None
    faithfulness: Faithfulness | None = None
    build_s: float = 0.0
    compute_s: float = 0.0


AttributionEvent = AttributionHeader | AttributionProgress | AttributionResult
