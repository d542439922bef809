from service.rpc.pb.vitrine.v1 import layers_pb2 as _layers_pb2
from service.rpc.pb.vitrine.v1 import models_pb2 as _models_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DiagnoseLayersRequest(_message.Message):
    __slots__ = ("model", "version", "pictures", "layers", "kernels")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    KERNELS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    pictures: _containers.RepeatedCompositeFieldContainer[_layers_pb2.Picture]
    layers: _layers_pb2.LayerSelector
    kernels: _layers_pb2.Kernels
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., pictures: _Optional[_Iterable[_Union[_layers_pb2.Picture, _Mapping]]] = ..., layers: _Optional[_Union[_layers_pb2.LayerSelector, _Mapping]] = ..., kernels: _Optional[_Union[_layers_pb2.Kernels, str]] = ...) -> None: ...

class DiagnosisEvent(_message.Message):
    __slots__ = ("header", "progress", "layer", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: DiagnosisHeader
    progress: Progress
    layer: LayerHealth
    end: DiagnosisEnd
    def __init__(self, header: _Optional[_Union[DiagnosisHeader, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., layer: _Optional[_Union[LayerHealth, _Mapping]] = ..., end: _Optional[_Union[DiagnosisEnd, _Mapping]] = ...) -> None: ...

class Examinee(_message.Message):
    __slots__ = ("model", "version", "digest", "variant")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    digest: str
    variant: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., variant: _Optional[str] = ...) -> None: ...

class DiagnosisHeader(_message.Message):
    __slots__ = ("model", "images", "are_samples", "profile_images", "layers")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    ARE_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    PROFILE_IMAGES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    model: Examinee
    images: int
    are_samples: bool
    profile_images: int
    layers: int
    def __init__(self, model: _Optional[_Union[Examinee, _Mapping]] = ..., images: _Optional[int] = ..., are_samples: _Optional[bool] = ..., profile_images: _Optional[int] = ..., layers: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class LayerHealth(_message.Message):
    __slots__ = ("layer", "images", "statistics", "sparsity", "silent", "constant", "saturation", "saturated", "drift")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    SPARSITY_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    SATURATION_FIELD_NUMBER: _ClassVar[int]
    SATURATED_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    layer: _layers_pb2.Layer
    images: int
    statistics: _layers_pb2.Statistics
    sparsity: float
    silent: _containers.RepeatedScalarFieldContainer[int]
    constant: _containers.RepeatedScalarFieldContainer[int]
    saturation: float
    saturated: _containers.RepeatedScalarFieldContainer[int]
    drift: Drift
    def __init__(self, layer: _Optional[_Union[_layers_pb2.Layer, _Mapping]] = ..., images: _Optional[int] = ..., statistics: _Optional[_Union[_layers_pb2.Statistics, _Mapping]] = ..., sparsity: _Optional[float] = ..., silent: _Optional[_Iterable[int]] = ..., constant: _Optional[_Iterable[int]] = ..., saturation: _Optional[float] = ..., saturated: _Optional[_Iterable[int]] = ..., drift: _Optional[_Union[Drift, _Mapping]] = ...) -> None: ...

class Drift(_message.Message):
    __slots__ = ("images", "reference_images", "channels", "worst")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_IMAGES_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    WORST_FIELD_NUMBER: _ClassVar[int]
    images: int
    reference_images: int
    channels: int
    worst: _containers.RepeatedCompositeFieldContainer[ChannelDrift]
    def __init__(self, images: _Optional[int] = ..., reference_images: _Optional[int] = ..., channels: _Optional[int] = ..., worst: _Optional[_Iterable[_Union[ChannelDrift, _Mapping]]] = ...) -> None: ...

class ChannelDrift(_message.Message):
    __slots__ = ("channel", "psi", "ks")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PSI_FIELD_NUMBER: _ClassVar[int]
    KS_FIELD_NUMBER: _ClassVar[int]
    channel: int
    psi: float
    ks: float
    def __init__(self, channel: _Optional[int] = ..., psi: _Optional[float] = ..., ks: _Optional[float] = ...) -> None: ...

class DiagnosisEnd(_message.Message):
    __slots__ = ("first_bad", "bad_weights", "compute_seconds")
    FIRST_BAD_FIELD_NUMBER: _ClassVar[int]
    BAD_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    first_bad: str
    bad_weights: int
    compute_seconds: float
    def __init__(self, first_bad: _Optional[str] = ..., bad_weights: _Optional[int] = ..., compute_seconds: _Optional[float] = ...) -> None: ...

class CompareVersionsRequest(_message.Message):
    __slots__ = ("model", "version", "other", "other_version", "pictures", "layers", "kernels", "threshold_db")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    OTHER_VERSION_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    KERNELS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_DB_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    other: str
    other_version: int
    pictures: _containers.RepeatedCompositeFieldContainer[_layers_pb2.Picture]
    layers: _layers_pb2.LayerSelector
    kernels: _layers_pb2.Kernels
    threshold_db: float
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., other: _Optional[str] = ..., other_version: _Optional[int] = ..., pictures: _Optional[_Iterable[_Union[_layers_pb2.Picture, _Mapping]]] = ..., layers: _Optional[_Union[_layers_pb2.LayerSelector, _Mapping]] = ..., kernels: _Optional[_Union[_layers_pb2.Kernels, str]] = ..., threshold_db: _Optional[float] = ...) -> None: ...

class ComparisonEvent(_message.Message):
    __slots__ = ("header", "progress", "layer", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: ComparisonHeader
    progress: Progress
    layer: LayerDifference
    end: ComparisonEnd
    def __init__(self, header: _Optional[_Union[ComparisonHeader, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., layer: _Optional[_Union[LayerDifference, _Mapping]] = ..., end: _Optional[_Union[ComparisonEnd, _Mapping]] = ...) -> None: ...

class ComparisonHeader(_message.Message):
    __slots__ = ("first", "other", "images", "are_samples", "threshold_db", "layers", "only_first", "only_other")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    ARE_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_DB_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    ONLY_FIRST_FIELD_NUMBER: _ClassVar[int]
    ONLY_OTHER_FIELD_NUMBER: _ClassVar[int]
    first: Examinee
    other: Examinee
    images: int
    are_samples: bool
    threshold_db: float
    layers: int
    only_first: _containers.RepeatedScalarFieldContainer[str]
    only_other: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, first: _Optional[_Union[Examinee, _Mapping]] = ..., other: _Optional[_Union[Examinee, _Mapping]] = ..., images: _Optional[int] = ..., are_samples: _Optional[bool] = ..., threshold_db: _Optional[float] = ..., layers: _Optional[int] = ..., only_first: _Optional[_Iterable[str]] = ..., only_other: _Optional[_Iterable[str]] = ...) -> None: ...

class LayerDifference(_message.Message):
    __slots__ = ("layer", "shape", "other_shape", "max_abs", "relative", "cosine", "sqnr_db", "cka", "cka_images", "worst")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    OTHER_SHAPE_FIELD_NUMBER: _ClassVar[int]
    MAX_ABS_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    SQNR_DB_FIELD_NUMBER: _ClassVar[int]
    CKA_FIELD_NUMBER: _ClassVar[int]
    CKA_IMAGES_FIELD_NUMBER: _ClassVar[int]
    WORST_FIELD_NUMBER: _ClassVar[int]
    layer: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    other_shape: _containers.RepeatedScalarFieldContainer[int]
    max_abs: float
    relative: float
    cosine: float
    sqnr_db: float
    cka: float
    cka_images: int
    worst: _containers.RepeatedCompositeFieldContainer[ChannelRatio]
    def __init__(self, layer: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., other_shape: _Optional[_Iterable[int]] = ..., max_abs: _Optional[float] = ..., relative: _Optional[float] = ..., cosine: _Optional[float] = ..., sqnr_db: _Optional[float] = ..., cka: _Optional[float] = ..., cka_images: _Optional[int] = ..., worst: _Optional[_Iterable[_Union[ChannelRatio, _Mapping]]] = ...) -> None: ...

class ChannelRatio(_message.Message):
    __slots__ = ("channel", "sqnr_db")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SQNR_DB_FIELD_NUMBER: _ClassVar[int]
    channel: int
    sqnr_db: float
    def __init__(self, channel: _Optional[int] = ..., sqnr_db: _Optional[float] = ...) -> None: ...

class ComparisonEnd(_message.Message):
    __slots__ = ("first_diverging", "largest_drop", "agreement", "max_logit_difference", "compute_seconds", "drops_db")
    class DropsDbEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    FIRST_DIVERGING_FIELD_NUMBER: _ClassVar[int]
    LARGEST_DROP_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    MAX_LOGIT_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DROPS_DB_FIELD_NUMBER: _ClassVar[int]
    first_diverging: str
    largest_drop: str
    agreement: float
    max_logit_difference: float
    compute_seconds: float
    drops_db: _containers.ScalarMap[str, float]
    def __init__(self, first_diverging: _Optional[str] = ..., largest_drop: _Optional[str] = ..., agreement: _Optional[float] = ..., max_logit_difference: _Optional[float] = ..., compute_seconds: _Optional[float] = ..., drops_db: _Optional[_Mapping[str, float]] = ...) -> None: ...

class ProfileLayersRequest(_message.Message):
    __slots__ = ("model", "version", "batch", "runs")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    batch: int
    runs: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., batch: _Optional[int] = ..., runs: _Optional[int] = ...) -> None: ...

class ProfileLayersResponse(_message.Message):
    __slots__ = ("model", "served", "measured", "note", "batch", "runs", "served_us", "run_us", "groups")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    SERVED_US_FIELD_NUMBER: _ClassVar[int]
    RUN_US_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    model: Examinee
    served: _models_pb2.Setting
    measured: _models_pb2.Setting
    note: str
    batch: int
    runs: int
    served_us: float
    run_us: float
    groups: _containers.RepeatedCompositeFieldContainer[KernelGroup]
    def __init__(self, model: _Optional[_Union[Examinee, _Mapping]] = ..., served: _Optional[_Union[_models_pb2.Setting, _Mapping]] = ..., measured: _Optional[_Union[_models_pb2.Setting, _Mapping]] = ..., note: _Optional[str] = ..., batch: _Optional[int] = ..., runs: _Optional[int] = ..., served_us: _Optional[float] = ..., run_us: _Optional[float] = ..., groups: _Optional[_Iterable[_Union[KernelGroup, _Mapping]]] = ...) -> None: ...

class KernelGroup(_message.Message):
    __slots__ = ("kernel", "op", "provider", "mean_us", "layers")
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MEAN_US_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    kernel: str
    op: str
    provider: str
    mean_us: float
    layers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kernel: _Optional[str] = ..., op: _Optional[str] = ..., provider: _Optional[str] = ..., mean_us: _Optional[float] = ..., layers: _Optional[_Iterable[str]] = ...) -> None: ...
