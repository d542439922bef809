from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Params(_message.Message):
    __slots__ = ("id", "top_k", "min_score", "logits", "pixels", "traceparent")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    top_k: int
    min_score: float
    logits: bool
    pixels: bool
    traceparent: str
    def __init__(self, id: _Optional[str] = ..., top_k: _Optional[int] = ..., min_score: _Optional[float] = ..., logits: _Optional[bool] = ..., pixels: _Optional[bool] = ..., traceparent: _Optional[str] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("answer", "failure", "ended_ns")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ENDED_NS_FIELD_NUMBER: _ClassVar[int]
    answer: bytes
    failure: Failure
    ended_ns: int
    def __init__(self, answer: _Optional[bytes] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., ended_ns: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "message", "field", "limit", "value", "image")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    field: str
    limit: str
    value: str
    image: bool
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., field: _Optional[str] = ..., limit: _Optional[str] = ..., value: _Optional[str] = ..., image: _Optional[bool] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("name", "image", "uri")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    name: str
    image: bytes
    uri: str
    def __init__(self, name: _Optional[str] = ..., image: _Optional[bytes] = ..., uri: _Optional[str] = ...) -> None: ...
