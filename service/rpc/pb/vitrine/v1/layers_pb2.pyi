from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kernels(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KERNELS_UNSPECIFIED: _ClassVar[Kernels]
    KERNELS_REFERENCE: _ClassVar[Kernels]
    KERNELS_AS_SERVED: _ClassVar[Kernels]
    KERNELS_UNFUSED: _ClassVar[Kernels]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_CONVOLUTION: _ClassVar[Role]
    ROLE_DENSE: _ClassVar[Role]
    ROLE_NORM: _ClassVar[Role]
    ROLE_ACTIVATION: _ClassVar[Role]
    ROLE_POOL: _ClassVar[Role]
    ROLE_MERGE: _ClassVar[Role]
    ROLE_GATE: _ClassVar[Role]
    ROLE_SOFTMAX: _ClassVar[Role]
    ROLE_RESHAPE: _ClassVar[Role]
    ROLE_BLOCK: _ClassVar[Role]
    ROLE_OTHER: _ClassVar[Role]
    ROLE_PRE_ACTIVATION: _ClassVar[Role]
    ROLE_LOGITS: _ClassVar[Role]
KERNELS_UNSPECIFIED: Kernels
KERNELS_REFERENCE: Kernels
KERNELS_AS_SERVED: Kernels
KERNELS_UNFUSED: Kernels
ROLE_UNSPECIFIED: Role
ROLE_CONVOLUTION: Role
ROLE_DENSE: Role
ROLE_NORM: Role
ROLE_ACTIVATION: Role
ROLE_POOL: Role
ROLE_MERGE: Role
ROLE_GATE: Role
ROLE_SOFTMAX: Role
ROLE_RESHAPE: Role
ROLE_BLOCK: Role
ROLE_OTHER: Role
ROLE_PRE_ACTIVATION: Role
ROLE_LOGITS: Role

class Picture(_message.Message):
    __slots__ = ("image", "id", "do_not_keep")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DO_NOT_KEEP_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    id: str
    do_not_keep: bool
    def __init__(self, image: _Optional[bytes] = ..., id: _Optional[str] = ..., do_not_keep: _Optional[bool] = ...) -> None: ...

class LayerSelector(_message.Message):
    __slots__ = ("include", "exclude", "ops", "class_names", "roles", "max_depth", "limit")
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    OPS_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    MAX_DEPTH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    include: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    ops: _containers.RepeatedScalarFieldContainer[str]
    class_names: _containers.RepeatedScalarFieldContainer[str]
    roles: _containers.RepeatedScalarFieldContainer[Role]
    max_depth: int
    limit: int
    def __init__(self, include: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ..., ops: _Optional[_Iterable[str]] = ..., class_names: _Optional[_Iterable[str]] = ..., roles: _Optional[_Iterable[_Union[Role, str]]] = ..., max_depth: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Layer(_message.Message):
    __slots__ = ("id", "path", "call", "class_name", "is_module", "roles", "ops", "tensor", "shape", "dtype", "inputs", "window", "groups", "formulas", "parameters", "macs", "field", "folded_into", "also_known_as")
    ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    IS_MODULE_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    OPS_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    FORMULAS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    FOLDED_INTO_FIELD_NUMBER: _ClassVar[int]
    ALSO_KNOWN_AS_FIELD_NUMBER: _ClassVar[int]
    id: str
    path: str
    call: int
    class_name: str
    is_module: bool
    roles: _containers.RepeatedScalarFieldContainer[Role]
    ops: _containers.RepeatedScalarFieldContainer[str]
    tensor: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    inputs: _containers.RepeatedScalarFieldContainer[str]
    window: Window
    groups: int
    formulas: _containers.RepeatedScalarFieldContainer[str]
    parameters: int
    macs: int
    field: ReceptiveField
    folded_into: str
    also_known_as: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., path: _Optional[str] = ..., call: _Optional[int] = ..., class_name: _Optional[str] = ..., is_module: _Optional[bool] = ..., roles: _Optional[_Iterable[_Union[Role, str]]] = ..., ops: _Optional[_Iterable[str]] = ..., tensor: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ..., inputs: _Optional[_Iterable[str]] = ..., window: _Optional[_Union[Window, _Mapping]] = ..., groups: _Optional[int] = ..., formulas: _Optional[_Iterable[str]] = ..., parameters: _Optional[int] = ..., macs: _Optional[int] = ..., field: _Optional[_Union[ReceptiveField, _Mapping]] = ..., folded_into: _Optional[str] = ..., also_known_as: _Optional[_Iterable[str]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("kernel", "stride", "dilation", "pads", "ceil")
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    DILATION_FIELD_NUMBER: _ClassVar[int]
    PADS_FIELD_NUMBER: _ClassVar[int]
    CEIL_FIELD_NUMBER: _ClassVar[int]
    kernel: _containers.RepeatedScalarFieldContainer[int]
    stride: _containers.RepeatedScalarFieldContainer[int]
    dilation: _containers.RepeatedScalarFieldContainer[int]
    pads: _containers.RepeatedScalarFieldContainer[int]
    ceil: bool
    def __init__(self, kernel: _Optional[_Iterable[int]] = ..., stride: _Optional[_Iterable[int]] = ..., dilation: _Optional[_Iterable[int]] = ..., pads: _Optional[_Iterable[int]] = ..., ceil: _Optional[bool] = ...) -> None: ...

class ReceptiveField(_message.Message):
    __slots__ = ("size", "jump", "start")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    JUMP_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    size: _containers.RepeatedScalarFieldContainer[int]
    jump: _containers.RepeatedScalarFieldContainer[int]
    start: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, size: _Optional[_Iterable[int]] = ..., jump: _Optional[_Iterable[int]] = ..., start: _Optional[_Iterable[int]] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("y0", "x0", "y1", "x1")
    Y0_FIELD_NUMBER: _ClassVar[int]
    X0_FIELD_NUMBER: _ClassVar[int]
    Y1_FIELD_NUMBER: _ClassVar[int]
    X1_FIELD_NUMBER: _ClassVar[int]
    y0: int
    x0: int
    y1: int
    x1: int
    def __init__(self, y0: _Optional[int] = ..., x0: _Optional[int] = ..., y1: _Optional[int] = ..., x1: _Optional[int] = ...) -> None: ...

class ClassScore(_message.Message):
    __slots__ = ("label", "index", "score")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    label: str
    index: int
    score: float
    def __init__(self, label: _Optional[str] = ..., index: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class PictureSummary(_message.Message):
    __slots__ = ("id", "predictions")
    ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    id: str
    predictions: _containers.RepeatedCompositeFieldContainer[ClassScore]
    def __init__(self, id: _Optional[str] = ..., predictions: _Optional[_Iterable[_Union[ClassScore, _Mapping]]] = ...) -> None: ...

class Parity(_message.Message):
    __slots__ = ("max_logit_difference", "here")
    MAX_LOGIT_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    HERE_FIELD_NUMBER: _ClassVar[int]
    max_logit_difference: float
    here: bool
    def __init__(self, max_logit_difference: _Optional[float] = ..., here: _Optional[bool] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("count", "nans", "positive_infinities", "negative_infinities", "zeros", "mean", "std", "min", "max", "l2", "percentiles", "histogram")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NANS_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_INFINITIES_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_INFINITIES_FIELD_NUMBER: _ClassVar[int]
    ZEROS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    L2_FIELD_NUMBER: _ClassVar[int]
    PERCENTILES_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    count: int
    nans: int
    positive_infinities: int
    negative_infinities: int
    zeros: int
    mean: float
    std: float
    min: float
    max: float
    l2: float
    percentiles: _containers.RepeatedScalarFieldContainer[float]
    histogram: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, count: _Optional[int] = ..., nans: _Optional[int] = ..., positive_infinities: _Optional[int] = ..., negative_infinities: _Optional[int] = ..., zeros: _Optional[int] = ..., mean: _Optional[float] = ..., std: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., l2: _Optional[float] = ..., percentiles: _Optional[_Iterable[float]] = ..., histogram: _Optional[_Iterable[int]] = ...) -> None: ...
