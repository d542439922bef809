from service.rpc.pb.vitrine.v1 import attribution_pb2 as _attribution_pb2
from service.rpc.pb.vitrine.v1 import diagnostics_pb2 as _diagnostics_pb2
from service.rpc.pb.vitrine.v1 import layers_pb2 as _layers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union
from service.rpc.pb.vitrine.v1.layers_pb2 import Picture as Picture
from service.rpc.pb.vitrine.v1.layers_pb2 import LayerSelector as LayerSelector
from service.rpc.pb.vitrine.v1.layers_pb2 import Layer as Layer
from service.rpc.pb.vitrine.v1.layers_pb2 import Window as Window
from service.rpc.pb.vitrine.v1.layers_pb2 import ReceptiveField as ReceptiveField
from service.rpc.pb.vitrine.v1.layers_pb2 import Box as Box
from service.rpc.pb.vitrine.v1.layers_pb2 import ClassScore as ClassScore
from service.rpc.pb.vitrine.v1.layers_pb2 import PictureSummary as PictureSummary
from service.rpc.pb.vitrine.v1.layers_pb2 import Parity as Parity
from service.rpc.pb.vitrine.v1.layers_pb2 import Statistics as Statistics
from service.rpc.pb.vitrine.v1.layers_pb2 import Kernels as Kernels
from service.rpc.pb.vitrine.v1.layers_pb2 import Role as Role

DESCRIPTOR: _descriptor.FileDescriptor
KERNELS_UNSPECIFIED: _layers_pb2.Kernels
KERNELS_REFERENCE: _layers_pb2.Kernels
KERNELS_AS_SERVED: _layers_pb2.Kernels
KERNELS_UNFUSED: _layers_pb2.Kernels
ROLE_UNSPECIFIED: _layers_pb2.Role
ROLE_CONVOLUTION: _layers_pb2.Role
ROLE_DENSE: _layers_pb2.Role
ROLE_NORM: _layers_pb2.Role
ROLE_ACTIVATION: _layers_pb2.Role
ROLE_POOL: _layers_pb2.Role
ROLE_MERGE: _layers_pb2.Role
ROLE_GATE: _layers_pb2.Role
ROLE_SOFTMAX: _layers_pb2.Role
ROLE_RESHAPE: _layers_pb2.Role
ROLE_BLOCK: _layers_pb2.Role
ROLE_OTHER: _layers_pb2.Role
ROLE_PRE_ACTIVATION: _layers_pb2.Role
ROLE_LOGITS: _layers_pb2.Role

class ListLayersRequest(_message.Message):
    __slots__ = ("model", "version", "layers")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    layers: _layers_pb2.LayerSelector
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., layers: _Optional[_Union[_layers_pb2.LayerSelector, _Mapping]] = ...) -> None: ...

class ListLayersResponse(_message.Message):
    __slots__ = ("model", "version", "digest", "layers", "names_modules")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    NAMES_MODULES_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    digest: str
    layers: _containers.RepeatedCompositeFieldContainer[_layers_pb2.Layer]
    names_modules: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., layers: _Optional[_Iterable[_Union[_layers_pb2.Layer, _Mapping]]] = ..., names_modules: _Optional[bool] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("box", "of_input")
    BOX_FIELD_NUMBER: _ClassVar[int]
    OF_INPUT_FIELD_NUMBER: _ClassVar[int]
    box: _layers_pb2.Box
    of_input: bool
    def __init__(self, box: _Optional[_Union[_layers_pb2.Box, _Mapping]] = ..., of_input: _Optional[bool] = ...) -> None: ...

class ChannelSelector(_message.Message):
    __slots__ = ("indices", "range", "top_k")
    INDICES_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    indices: ChannelList
    range: ChannelRange
    top_k: TopK
    def __init__(self, indices: _Optional[_Union[ChannelList, _Mapping]] = ..., range: _Optional[_Union[ChannelRange, _Mapping]] = ..., top_k: _Optional[_Union[TopK, _Mapping]] = ...) -> None: ...

class ChannelList(_message.Message):
    __slots__ = ("indices",)
    INDICES_FIELD_NUMBER: _ClassVar[int]
    indices: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, indices: _Optional[_Iterable[int]] = ...) -> None: ...

class ChannelRange(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class TopK(_message.Message):
    __slots__ = ("k", "key", "class_index", "ascending")
    class Key(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KEY_UNSPECIFIED: _ClassVar[TopK.Key]
        KEY_MEAN: _ClassVar[TopK.Key]
        KEY_MAX: _ClassVar[TopK.Key]
        KEY_L2: _ClassVar[TopK.Key]
        KEY_STD: _ClassVar[TopK.Key]
        KEY_CONTRIBUTION: _ClassVar[TopK.Key]
    KEY_UNSPECIFIED: TopK.Key
    KEY_MEAN: TopK.Key
    KEY_MAX: TopK.Key
    KEY_L2: TopK.Key
    KEY_STD: TopK.Key
    KEY_CONTRIBUTION: TopK.Key
    K_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    ASCENDING_FIELD_NUMBER: _ClassVar[int]
    k: int
    key: TopK.Key
    class_index: int
    ascending: bool
    def __init__(self, k: _Optional[int] = ..., key: _Optional[_Union[TopK.Key, str]] = ..., class_index: _Optional[int] = ..., ascending: _Optional[bool] = ...) -> None: ...

class StatisticsOptions(_message.Message):
    __slots__ = ("per_channel", "percentiles", "histogram")
    PER_CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PERCENTILES_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    per_channel: bool
    percentiles: bool
    histogram: bool
    def __init__(self, per_channel: _Optional[bool] = ..., percentiles: _Optional[bool] = ..., histogram: _Optional[bool] = ...) -> None: ...

class Encoding(_message.Message):
    __slots__ = ("kind", "range", "low", "high", "percentile", "colormap", "max_side", "min_side", "tile_columns")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Encoding.Kind]
        KIND_STATISTICS: _ClassVar[Encoding.Kind]
        KIND_FLOAT32: _ClassVar[Encoding.Kind]
        KIND_FLOAT16: _ClassVar[Encoding.Kind]
        KIND_UINT8: _ClassVar[Encoding.Kind]
        KIND_PNG: _ClassVar[Encoding.Kind]
        KIND_NPY: _ClassVar[Encoding.Kind]
        KIND_STORED: _ClassVar[Encoding.Kind]
    KIND_UNSPECIFIED: Encoding.Kind
    KIND_STATISTICS: Encoding.Kind
    KIND_FLOAT32: Encoding.Kind
    KIND_FLOAT16: Encoding.Kind
    KIND_UINT8: Encoding.Kind
    KIND_PNG: Encoding.Kind
    KIND_NPY: Encoding.Kind
    KIND_STORED: Encoding.Kind
    class Range(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RANGE_UNSPECIFIED: _ClassVar[Encoding.Range]
        RANGE_PER_CHANNEL: _ClassVar[Encoding.Range]
        RANGE_PER_LAYER: _ClassVar[Encoding.Range]
        RANGE_SYMMETRIC: _ClassVar[Encoding.Range]
        RANGE_FIXED: _ClassVar[Encoding.Range]
        RANGE_PERCENTILE: _ClassVar[Encoding.Range]
    RANGE_UNSPECIFIED: Encoding.Range
    RANGE_PER_CHANNEL: Encoding.Range
    RANGE_PER_LAYER: Encoding.Range
    RANGE_SYMMETRIC: Encoding.Range
    RANGE_FIXED: Encoding.Range
    RANGE_PERCENTILE: Encoding.Range
    KIND_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    COLORMAP_FIELD_NUMBER: _ClassVar[int]
    MAX_SIDE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIDE_FIELD_NUMBER: _ClassVar[int]
    TILE_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    kind: Encoding.Kind
    range: Encoding.Range
    low: float
    high: float
    percentile: float
    colormap: str
    max_side: int
    min_side: int
    tile_columns: int
    def __init__(self, kind: _Optional[_Union[Encoding.Kind, str]] = ..., range: _Optional[_Union[Encoding.Range, str]] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., percentile: _Optional[float] = ..., colormap: _Optional[str] = ..., max_side: _Optional[int] = ..., min_side: _Optional[int] = ..., tile_columns: _Optional[int] = ...) -> None: ...

class GetFeatureMapsRequest(_message.Message):
    __slots__ = ("model", "version", "pictures", "layers", "channels", "region", "encoding", "statistics", "kernels", "max_bytes", "dry_run")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    KERNELS_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    pictures: _containers.RepeatedCompositeFieldContainer[_layers_pb2.Picture]
    layers: _layers_pb2.LayerSelector
    channels: ChannelSelector
    region: Region
    encoding: Encoding
    statistics: StatisticsOptions
    kernels: _layers_pb2.Kernels
    max_bytes: int
    dry_run: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., pictures: _Optional[_Iterable[_Union[_layers_pb2.Picture, _Mapping]]] = ..., layers: _Optional[_Union[_layers_pb2.LayerSelector, _Mapping]] = ..., channels: _Optional[_Union[ChannelSelector, _Mapping]] = ..., region: _Optional[_Union[Region, _Mapping]] = ..., encoding: _Optional[_Union[Encoding, _Mapping]] = ..., statistics: _Optional[_Union[StatisticsOptions, _Mapping]] = ..., kernels: _Optional[_Union[_layers_pb2.Kernels, str]] = ..., max_bytes: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class FeatureMapsEvent(_message.Message):
    __slots__ = ("header", "layer", "chunk", "layer_end", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    LAYER_END_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: RunHeader
    layer: LayerHeader
    chunk: Chunk
    layer_end: LayerEnd
    end: RunEnd
    def __init__(self, header: _Optional[_Union[RunHeader, _Mapping]] = ..., layer: _Optional[_Union[LayerHeader, _Mapping]] = ..., chunk: _Optional[_Union[Chunk, _Mapping]] = ..., layer_end: _Optional[_Union[LayerEnd, _Mapping]] = ..., end: _Optional[_Union[RunEnd, _Mapping]] = ...) -> None: ...

class RunHeader(_message.Message):
    __slots__ = ("model", "version", "digest", "pictures", "parity", "total_bytes", "layers", "kernels")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    PARITY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    KERNELS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    digest: str
    pictures: _containers.RepeatedCompositeFieldContainer[_layers_pb2.PictureSummary]
    parity: _layers_pb2.Parity
    total_bytes: int
    layers: int
    kernels: _layers_pb2.Kernels
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., pictures: _Optional[_Iterable[_Union[_layers_pb2.PictureSummary, _Mapping]]] = ..., parity: _Optional[_Union[_layers_pb2.Parity, _Mapping]] = ..., total_bytes: _Optional[int] = ..., layers: _Optional[int] = ..., kernels: _Optional[_Union[_layers_pb2.Kernels, str]] = ...) -> None: ...

class LayerHeader(_message.Message):
    __slots__ = ("ordinal", "layer", "picture", "shape", "channels", "box", "size_bytes", "statistics", "per_channel", "scale", "offset", "colormap", "not_finite", "zero_point", "dtype")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    PER_CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    COLORMAP_FIELD_NUMBER: _ClassVar[int]
    NOT_FINITE_FIELD_NUMBER: _ClassVar[int]
    ZERO_POINT_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    layer: _layers_pb2.Layer
    picture: int
    shape: _containers.RepeatedScalarFieldContainer[int]
    channels: _containers.RepeatedScalarFieldContainer[int]
    box: _layers_pb2.Box
    size_bytes: int
    statistics: _layers_pb2.Statistics
    per_channel: _containers.RepeatedCompositeFieldContainer[_layers_pb2.Statistics]
    scale: _containers.RepeatedScalarFieldContainer[float]
    offset: _containers.RepeatedScalarFieldContainer[float]
    colormap: str
    not_finite: _containers.RepeatedScalarFieldContainer[int]
    zero_point: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    def __init__(self, ordinal: _Optional[int] = ..., layer: _Optional[_Union[_layers_pb2.Layer, _Mapping]] = ..., picture: _Optional[int] = ..., shape: _Optional[_Iterable[int]] = ..., channels: _Optional[_Iterable[int]] = ..., box: _Optional[_Union[_layers_pb2.Box, _Mapping]] = ..., size_bytes: _Optional[int] = ..., statistics: _Optional[_Union[_layers_pb2.Statistics, _Mapping]] = ..., per_channel: _Optional[_Iterable[_Union[_layers_pb2.Statistics, _Mapping]]] = ..., scale: _Optional[_Iterable[float]] = ..., offset: _Optional[_Iterable[float]] = ..., colormap: _Optional[str] = ..., not_finite: _Optional[_Iterable[int]] = ..., zero_point: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("ordinal", "offset", "data")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    offset: int
    data: bytes
    def __init__(self, ordinal: _Optional[int] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class LayerEnd(_message.Message):
    __slots__ = ("ordinal", "crc32")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    crc32: int
    def __init__(self, ordinal: _Optional[int] = ..., crc32: _Optional[int] = ...) -> None: ...

class RunEnd(_message.Message):
    __slots__ = ("parity", "build_seconds", "compute_seconds", "sent_bytes")
    PARITY_FIELD_NUMBER: _ClassVar[int]
    BUILD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    parity: _layers_pb2.Parity
    build_seconds: float
    compute_seconds: float
    sent_bytes: int
    def __init__(self, parity: _Optional[_Union[_layers_pb2.Parity, _Mapping]] = ..., build_seconds: _Optional[float] = ..., compute_seconds: _Optional[float] = ..., sent_bytes: _Optional[int] = ...) -> None: ...

class ExplainUnitRequest(_message.Message):
    __slots__ = ("model", "version", "picture", "layer", "channel", "y", "x")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    picture: _layers_pb2.Picture
    layer: str
    channel: int
    y: int
    x: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., picture: _Optional[_Union[_layers_pb2.Picture, _Mapping]] = ..., layer: _Optional[str] = ..., channel: _Optional[int] = ..., y: _Optional[int] = ..., x: _Optional[int] = ...) -> None: ...

class ExplainUnitResponse(_message.Message):
    __slots__ = ("model", "version", "digest", "picture_id", "layer", "value", "computed", "residual", "conv", "pool", "activation", "norm", "dense", "softmax", "merge", "input_field", "parity")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PICTURE_ID_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COMPUTED_FIELD_NUMBER: _ClassVar[int]
    RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_FIELD_NUMBER: _ClassVar[int]
    NORM_FIELD_NUMBER: _ClassVar[int]
    DENSE_FIELD_NUMBER: _ClassVar[int]
    SOFTMAX_FIELD_NUMBER: _ClassVar[int]
    MERGE_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_FIELD_NUMBER: _ClassVar[int]
    PARITY_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    digest: str
    picture_id: str
    layer: _layers_pb2.Layer
    value: float
    computed: float
    residual: float
    conv: ConvUnit
    pool: PoolUnit
    activation: ActivationUnit
    norm: NormUnit
    dense: DenseUnit
    softmax: SoftmaxUnit
    merge: MergeUnit
    input_field: _layers_pb2.Box
    parity: _layers_pb2.Parity
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., picture_id: _Optional[str] = ..., layer: _Optional[_Union[_layers_pb2.Layer, _Mapping]] = ..., value: _Optional[float] = ..., computed: _Optional[float] = ..., residual: _Optional[float] = ..., conv: _Optional[_Union[ConvUnit, _Mapping]] = ..., pool: _Optional[_Union[PoolUnit, _Mapping]] = ..., activation: _Optional[_Union[ActivationUnit, _Mapping]] = ..., norm: _Optional[_Union[NormUnit, _Mapping]] = ..., dense: _Optional[_Union[DenseUnit, _Mapping]] = ..., softmax: _Optional[_Union[SoftmaxUnit, _Mapping]] = ..., merge: _Optional[_Union[MergeUnit, _Mapping]] = ..., input_field: _Optional[_Union[_layers_pb2.Box, _Mapping]] = ..., parity: _Optional[_Union[_layers_pb2.Parity, _Mapping]] = ...) -> None: ...

class ConvUnit(_message.Message):
    __slots__ = ("patches", "bias", "window")
    PATCHES_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    patches: _containers.RepeatedCompositeFieldContainer[Patch]
    bias: float
    window: _layers_pb2.Window
    def __init__(self, patches: _Optional[_Iterable[_Union[Patch, _Mapping]]] = ..., bias: _Optional[float] = ..., window: _Optional[_Union[_layers_pb2.Window, _Mapping]] = ...) -> None: ...

class Patch(_message.Message):
    __slots__ = ("channel", "values", "kernel", "products", "is_padding", "sum")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    IS_PADDING_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    channel: int
    values: _containers.RepeatedScalarFieldContainer[float]
    kernel: _containers.RepeatedScalarFieldContainer[float]
    products: _containers.RepeatedScalarFieldContainer[float]
    is_padding: _containers.RepeatedScalarFieldContainer[bool]
    sum: float
    def __init__(self, channel: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ..., kernel: _Optional[_Iterable[float]] = ..., products: _Optional[_Iterable[float]] = ..., is_padding: _Optional[_Iterable[bool]] = ..., sum: _Optional[float] = ...) -> None: ...

class PoolUnit(_message.Message):
    __slots__ = ("kind", "values", "is_padding", "shape", "winner", "divisor", "y", "x", "dilation")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[PoolUnit.Kind]
        KIND_MAX: _ClassVar[PoolUnit.Kind]
        KIND_AVERAGE: _ClassVar[PoolUnit.Kind]
        KIND_SUM: _ClassVar[PoolUnit.Kind]
    KIND_UNSPECIFIED: PoolUnit.Kind
    KIND_MAX: PoolUnit.Kind
    KIND_AVERAGE: PoolUnit.Kind
    KIND_SUM: PoolUnit.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    IS_PADDING_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    WINNER_FIELD_NUMBER: _ClassVar[int]
    DIVISOR_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    DILATION_FIELD_NUMBER: _ClassVar[int]
    kind: PoolUnit.Kind
    values: _containers.RepeatedScalarFieldContainer[float]
    is_padding: _containers.RepeatedScalarFieldContainer[bool]
    shape: _containers.RepeatedScalarFieldContainer[int]
    winner: int
    divisor: float
    y: int
    x: int
    dilation: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, kind: _Optional[_Union[PoolUnit.Kind, str]] = ..., values: _Optional[_Iterable[float]] = ..., is_padding: _Optional[_Iterable[bool]] = ..., shape: _Optional[_Iterable[int]] = ..., winner: _Optional[int] = ..., divisor: _Optional[float] = ..., y: _Optional[int] = ..., x: _Optional[int] = ..., dilation: _Optional[_Iterable[int]] = ...) -> None: ...

class ActivationUnit(_message.Message):
    __slots__ = ("name", "formula", "x")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORMULA_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    name: str
    formula: str
    x: float
    def __init__(self, name: _Optional[str] = ..., formula: _Optional[str] = ..., x: _Optional[float] = ...) -> None: ...

class NormUnit(_message.Message):
    __slots__ = ("x", "mean", "variance", "epsilon", "scale", "shift")
    X_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    x: float
    mean: float
    variance: float
    epsilon: float
    scale: float
    shift: float
    def __init__(self, x: _Optional[float] = ..., mean: _Optional[float] = ..., variance: _Optional[float] = ..., epsilon: _Optional[float] = ..., scale: _Optional[float] = ..., shift: _Optional[float] = ...) -> None: ...

class DenseUnit(_message.Message):
    __slots__ = ("inputs", "weights", "order", "bias")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedScalarFieldContainer[float]
    weights: _containers.RepeatedScalarFieldContainer[float]
    order: _containers.RepeatedScalarFieldContainer[int]
    bias: float
    def __init__(self, inputs: _Optional[_Iterable[float]] = ..., weights: _Optional[_Iterable[float]] = ..., order: _Optional[_Iterable[int]] = ..., bias: _Optional[float] = ...) -> None: ...

class SoftmaxUnit(_message.Message):
    __slots__ = ("x", "index", "is_log")
    X_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    IS_LOG_FIELD_NUMBER: _ClassVar[int]
    x: _containers.RepeatedScalarFieldContainer[float]
    index: int
    is_log: bool
    def __init__(self, x: _Optional[_Iterable[float]] = ..., index: _Optional[int] = ..., is_log: _Optional[bool] = ...) -> None: ...

class MergeUnit(_message.Message):
    __slots__ = ("op", "terms")
    OP_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    op: str
    terms: _containers.RepeatedCompositeFieldContainer[Term]
    def __init__(self, op: _Optional[str] = ..., terms: _Optional[_Iterable[_Union[Term, _Mapping]]] = ...) -> None: ...

class Term(_message.Message):
    __slots__ = ("layer", "value")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    layer: str
    value: float
    def __init__(self, layer: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
