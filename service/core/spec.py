"""The spec: what a network expects and what its outputs mean. It travels inside the ONNX file.

Written by `model/export.py` at export, read by `service/engine/store.py` at load, used by `core/image.py` for
preprocessing in training, evaluation and serving alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from service.core.errors import InvalidInput

#: Key of the spec's JSON in the ONNX file's `metadata_props`.
METADATA_KEY = "vitrine.spec"

#: Graph input: uint8 pixels `[N, height, width, channels]`; normalisation happens inside the graph.
INPUT_NAME = "image"
#: Graph output: float32 `[N, classes]`, before softmax or sigmoid.
OUTPUT_NAME = "logits"

Task = Literal["multiclass", "multilabel", "binary"]
Variant = Literal["fp32", "int8"]
Resize = Literal["stretch", "crop", "pad"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Positive = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How an encoded picture of any size becomes the network's pixels, and how those are normalised.

    `resize`: "stretch" ignores the aspect ratio; "crop" takes the centred box of the target's aspect ratio that
    covers `crop_fraction` of the picture (0.875 is the usual "resize 256, crop 224") and resizes that box only;
    "pad" fits the whole picture and fills the rest with `background`.

    Normalisation, inside the graph: `(pixel * scale - mean[c]) / std[c]` with pixel in 0..255.
    """

    resize: Resize = "stretch"
    crop_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    interpolation: Interpolation = "bilinear"
    background: Annotated[int, Field(ge=0, le=255)] = 255
    scale: Annotated[float, Field(gt=0)] = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)


@dataclass(frozen=True, slots=True)
class Layer:
    """One PyTorch module call, found again in the ONNX graph.

    `path` is the module path (`features.0.conv`); `call` counts the uses of a shared module from 0; `tensor` is the
    ONNX value that holds its output; `shape` is that output per item, without the batch axis.
    """

    path: str
    call: int
    class_name: str
    ops: tuple[str, ...]
    tensor: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`path`, or `path#call` from the second call on."""
        return self.path if self.call == 0 else f"{self.path}#{self.call}"


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything a server must know about a model beside its weights.

    `folded` is about layers of which quantising left nothing: the id of the layer whose output is all that is left.
    Raises `InvalidInput` when the parts contradict each other.
    """

    name: str
    channels: Literal[1, 3]
    height: Positive
    width: Positive
    labels: tuple[str, ...]
    task: Task = "multiclass"
    preprocess: Preprocess = field(default_factory=Preprocess)
    temperature: Annotated[float, Field(gt=0)] = 1.0
    layers: tuple[Layer, ...] = ()
    variant: Variant = "fp32"
    folded: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)  #: free text for people: dataset, recipe digest, torch version
    schema: Literal[1] = 1

    def __post_init__(self) -> None:
        if not self.labels:
            raise InvalidInput("labels", "at least one label is needed", len(self.labels))
        if self.task == "multiclass" and len(self.labels) < 2:
            raise InvalidInput("labels", "a multi-class model needs at least 2", len(self.labels))
        if self.task == "binary" and len(self.labels) != 1:
            raise InvalidInput("labels", "a binary model has one label, that of the positive class", len(self.labels))
        for name, values in (("mean", self.preprocess.mean), ("std", self.preprocess.std)):
            if len(values) not in (1, self.channels):
                raise InvalidInput(name, f"1 or {self.channels} values, one per channel", len(values))
        if not math.isfinite(self.temperature):
            raise InvalidInput("temperature", "must be finite", self.temperature)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Input shape per item: (height, width, channels)."""
        return (self.height, self.width, self.channels)


_ADAPTER: TypeAdapter[Spec] = TypeAdapter(Spec)


def to_json(spec: Spec) -> str:
    """The spec as JSON, for the ONNX metadata."""
    return _ADAPTER.dump_json(spec).decode()


def from_json(text: str | bytes) -> Spec:
    """Parse a spec. Unknown fields are ignored (an older server reads a newer file); raises `InvalidInput`."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "spec"
        raise InvalidInput(f"spec.{where}", first["msg"], first["input"]) from None
