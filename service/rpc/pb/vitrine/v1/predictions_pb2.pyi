from service.rpc.pb.vitrine.v1 import classifier_pb2 as _classifier_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetPredictionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class LoggedPrediction(_message.Message):
    __slots__ = ("id", "at_ms", "caller", "model", "version", "answer", "error", "size_bytes", "picture_id", "served_version", "obstacle")
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PICTURE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_VERSION_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    id: str
    at_ms: int
    caller: str
    model: str
    version: int
    answer: _classifier_pb2.ClassifyResponse
    error: str
    size_bytes: int
    picture_id: str
    served_version: int
    obstacle: str
    def __init__(self, id: _Optional[str] = ..., at_ms: _Optional[int] = ..., caller: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., answer: _Optional[_Union[_classifier_pb2.ClassifyResponse, _Mapping]] = ..., error: _Optional[str] = ..., size_bytes: _Optional[int] = ..., picture_id: _Optional[str] = ..., served_version: _Optional[int] = ..., obstacle: _Optional[str] = ...) -> None: ...
