from service.rpc.pb.vitrine.v1 import layers_pb2 as _layers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttributionMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTRIBUTION_METHOD_UNSPECIFIED: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_AUTO: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_CAM: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_HIRES_CAM: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_GRAD_CAM: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_RECIPRO_CAM: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_LAYER_CAM: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_OCCLUSION: _ClassVar[AttributionMethod]
    ATTRIBUTION_METHOD_RISE: _ClassVar[AttributionMethod]

class Fill(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILL_UNSPECIFIED: _ClassVar[Fill]
    FILL_MEAN: _ClassVar[Fill]
    FILL_BLUR: _ClassVar[Fill]
    FILL_BLACK: _ClassVar[Fill]
    FILL_WHITE: _ClassVar[Fill]
ATTRIBUTION_METHOD_UNSPECIFIED: AttributionMethod
ATTRIBUTION_METHOD_AUTO: AttributionMethod
ATTRIBUTION_METHOD_CAM: AttributionMethod
ATTRIBUTION_METHOD_HIRES_CAM: AttributionMethod
ATTRIBUTION_METHOD_GRAD_CAM: AttributionMethod
ATTRIBUTION_METHOD_RECIPRO_CAM: AttributionMethod
ATTRIBUTION_METHOD_LAYER_CAM: AttributionMethod
ATTRIBUTION_METHOD_OCCLUSION: AttributionMethod
ATTRIBUTION_METHOD_RISE: AttributionMethod
FILL_UNSPECIFIED: Fill
FILL_MEAN: Fill
FILL_BLUR: Fill
FILL_BLACK: Fill
FILL_WHITE: Fill

class ClassRef(_message.Message):
    __slots__ = ("index", "label")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    index: int
    label: str
    def __init__(self, index: _Optional[int] = ..., label: _Optional[str] = ...) -> None: ...

class Occlusion(_message.Message):
    __slots__ = ("patch", "stride")
    PATCH_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    patch: int
    stride: int
    def __init__(self, patch: _Optional[int] = ..., stride: _Optional[int] = ...) -> None: ...

class Rise(_message.Message):
    __slots__ = ("masks", "cells", "keep", "seed")
    MASKS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    masks: int
    cells: int
    keep: float
    seed: int
    def __init__(self, masks: _Optional[int] = ..., cells: _Optional[int] = ..., keep: _Optional[float] = ..., seed: _Optional[int] = ...) -> None: ...

class OverlayOptions(_message.Message):
    __slots__ = ("colormap", "min_side", "without_legend")
    COLORMAP_FIELD_NUMBER: _ClassVar[int]
    MIN_SIDE_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_LEGEND_FIELD_NUMBER: _ClassVar[int]
    colormap: str
    min_side: int
    without_legend: bool
    def __init__(self, colormap: _Optional[str] = ..., min_side: _Optional[int] = ..., without_legend: _Optional[bool] = ...) -> None: ...

class CheckOptions(_message.Message):
    __slots__ = ("steps", "controls", "seed")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    steps: int
    controls: int
    seed: int
    def __init__(self, steps: _Optional[int] = ..., controls: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class AttributeRequest(_message.Message):
    __slots__ = ("model", "version", "picture", "method", "layer", "target", "versus", "class_weights", "signed", "fill", "occlusion", "rise", "overlay", "check", "snapshots")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    VERSUS_FIELD_NUMBER: _ClassVar[int]
    CLASS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    OCCLUSION_FIELD_NUMBER: _ClassVar[int]
    RISE_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    picture: _layers_pb2.Picture
    method: AttributionMethod
    layer: str
    target: ClassRef
    versus: ClassRef
    class_weights: _containers.RepeatedScalarFieldContainer[float]
    signed: bool
    fill: Fill
    occlusion: Occlusion
    rise: Rise
    overlay: OverlayOptions
    check: CheckOptions
    snapshots: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., picture: _Optional[_Union[_layers_pb2.Picture, _Mapping]] = ..., method: _Optional[_Union[AttributionMethod, str]] = ..., layer: _Optional[str] = ..., target: _Optional[_Union[ClassRef, _Mapping]] = ..., versus: _Optional[_Union[ClassRef, _Mapping]] = ..., class_weights: _Optional[_Iterable[float]] = ..., signed: _Optional[bool] = ..., fill: _Optional[_Union[Fill, str]] = ..., occlusion: _Optional[_Union[Occlusion, _Mapping]] = ..., rise: _Optional[_Union[Rise, _Mapping]] = ..., overlay: _Optional[_Union[OverlayOptions, _Mapping]] = ..., check: _Optional[_Union[CheckOptions, _Mapping]] = ..., snapshots: _Optional[int] = ...) -> None: ...

class AttributeEvent(_message.Message):
    __slots__ = ("header", "progress", "result")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    header: AttributionHeader
    progress: AttributionProgress
    result: AttributionResult
    def __init__(self, header: _Optional[_Union[AttributionHeader, _Mapping]] = ..., progress: _Optional[_Union[AttributionProgress, _Mapping]] = ..., result: _Optional[_Union[AttributionResult, _Mapping]] = ...) -> None: ...

class AttributionHeader(_message.Message):
    __slots__ = ("model", "version", "digest", "picture", "method", "reason", "layer", "target", "versus", "labels", "runs")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    VERSUS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    digest: str
    picture: _layers_pb2.PictureSummary
    method: AttributionMethod
    reason: str
    layer: _layers_pb2.Layer
    target: int
    versus: int
    labels: _containers.RepeatedScalarFieldContainer[str]
    runs: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., picture: _Optional[_Union[_layers_pb2.PictureSummary, _Mapping]] = ..., method: _Optional[_Union[AttributionMethod, str]] = ..., reason: _Optional[str] = ..., layer: _Optional[_Union[_layers_pb2.Layer, _Mapping]] = ..., target: _Optional[int] = ..., versus: _Optional[int] = ..., labels: _Optional[_Iterable[str]] = ..., runs: _Optional[int] = ...) -> None: ...

class EvidenceMap(_message.Message):
    __slots__ = ("height", "width", "values")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    values: bytes
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., values: _Optional[bytes] = ...) -> None: ...

class AttributionProgress(_message.Message):
    __slots__ = ("done", "map")
    DONE_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    done: int
    map: EvidenceMap
    def __init__(self, done: _Optional[int] = ..., map: _Optional[_Union[EvidenceMap, _Mapping]] = ...) -> None: ...

class AttributionResult(_message.Message):
    __slots__ = ("map", "first", "step", "score", "total", "bias", "residual", "parity", "overlay", "faithfulness", "build_seconds", "compute_seconds")
    MAP_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    PARITY_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    FAITHFULNESS_FIELD_NUMBER: _ClassVar[int]
    BUILD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    map: EvidenceMap
    first: _containers.RepeatedScalarFieldContainer[float]
    step: _containers.RepeatedScalarFieldContainer[float]
    score: float
    total: float
    bias: float
    residual: float
    parity: _layers_pb2.Parity
    overlay: PaintedMap
    faithfulness: Faithfulness
    build_seconds: float
    compute_seconds: float
    def __init__(self, map: _Optional[_Union[EvidenceMap, _Mapping]] = ..., first: _Optional[_Iterable[float]] = ..., step: _Optional[_Iterable[float]] = ..., score: _Optional[float] = ..., total: _Optional[float] = ..., bias: _Optional[float] = ..., residual: _Optional[float] = ..., parity: _Optional[_Union[_layers_pb2.Parity, _Mapping]] = ..., overlay: _Optional[_Union[PaintedMap, _Mapping]] = ..., faithfulness: _Optional[_Union[Faithfulness, _Mapping]] = ..., build_seconds: _Optional[float] = ..., compute_seconds: _Optional[float] = ...) -> None: ...

class PaintedMap(_message.Message):
    __slots__ = ("png", "colormap", "low", "high")
    PNG_FIELD_NUMBER: _ClassVar[int]
    COLORMAP_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    png: bytes
    colormap: str
    low: float
    high: float
    def __init__(self, png: _Optional[bytes] = ..., colormap: _Optional[str] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class Curves(_message.Message):
    __slots__ = ("insertion", "deletion", "insertion_area", "deletion_area")
    INSERTION_FIELD_NUMBER: _ClassVar[int]
    DELETION_FIELD_NUMBER: _ClassVar[int]
    INSERTION_AREA_FIELD_NUMBER: _ClassVar[int]
    DELETION_AREA_FIELD_NUMBER: _ClassVar[int]
    insertion: _containers.RepeatedScalarFieldContainer[float]
    deletion: _containers.RepeatedScalarFieldContainer[float]
    insertion_area: float
    deletion_area: float
    def __init__(self, insertion: _Optional[_Iterable[float]] = ..., deletion: _Optional[_Iterable[float]] = ..., insertion_area: _Optional[float] = ..., deletion_area: _Optional[float] = ...) -> None: ...

class Faithfulness(_message.Message):
    __slots__ = ("map", "controls")
    MAP_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    map: Curves
    controls: _containers.RepeatedCompositeFieldContainer[Curves]
    def __init__(self, map: _Optional[_Union[Curves, _Mapping]] = ..., controls: _Optional[_Iterable[_Union[Curves, _Mapping]]] = ...) -> None: ...
