from google.rpc import status_pb2 as _status_pb2
from service.rpc.pb.vitrine.v1 import classifier_pb2 as _classifier_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_OPEN: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_DONE: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]

class JobPriority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_PRIORITY_UNSPECIFIED: _ClassVar[JobPriority]
    JOB_PRIORITY_LOW: _ClassVar[JobPriority]
    JOB_PRIORITY_NORMAL: _ClassVar[JobPriority]
    JOB_PRIORITY_HIGH: _ClassVar[JobPriority]

class JobDurability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_DURABILITY_UNVERIFIED: _ClassVar[JobDurability]
    JOB_DURABILITY_MEMORY: _ClassVar[JobDurability]
    JOB_DURABILITY_WRITTEN: _ClassVar[JobDurability]
    JOB_DURABILITY_FSYNCED: _ClassVar[JobDurability]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_OPEN: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_DONE: JobState
JOB_STATE_CANCELLED: JobState
JOB_PRIORITY_UNSPECIFIED: JobPriority
JOB_PRIORITY_LOW: JobPriority
JOB_PRIORITY_NORMAL: JobPriority
JOB_PRIORITY_HIGH: JobPriority
JOB_DURABILITY_UNVERIFIED: JobDurability
JOB_DURABILITY_MEMORY: JobDurability
JOB_DURABILITY_WRITTEN: JobDurability
JOB_DURABILITY_FSYNCED: JobDurability

class OpenJobRequest(_message.Message):
    __slots__ = ("model", "version", "top_k", "min_score", "logits", "idempotency_key", "priority", "ttl_seconds", "sources")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    top_k: int
    min_score: float
    logits: bool
    idempotency_key: str
    priority: JobPriority
    ttl_seconds: int
    sources: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., top_k: _Optional[int] = ..., min_score: _Optional[float] = ..., logits: _Optional[bool] = ..., idempotency_key: _Optional[str] = ..., priority: _Optional[_Union[JobPriority, str]] = ..., ttl_seconds: _Optional[int] = ..., sources: _Optional[_Iterable[str]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "model", "version", "state", "priority", "durability", "items", "next_chunk", "succeeded", "failed", "in_flight", "created_ms", "ended_ms", "ttl_seconds", "last_item", "sources", "top_k", "min_score", "logits")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LAST_ITEM_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    version: int
    state: JobState
    priority: JobPriority
    durability: JobDurability
    items: int
    next_chunk: int
    succeeded: int
    failed: int
    in_flight: int
    created_ms: int
    ended_ms: int
    ttl_seconds: int
    last_item: str
    sources: _containers.RepeatedScalarFieldContainer[str]
    top_k: int
    min_score: float
    logits: bool
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[_Union[JobState, str]] = ..., priority: _Optional[_Union[JobPriority, str]] = ..., durability: _Optional[_Union[JobDurability, str]] = ..., items: _Optional[int] = ..., next_chunk: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., in_flight: _Optional[int] = ..., created_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., ttl_seconds: _Optional[int] = ..., last_item: _Optional[str] = ..., sources: _Optional[_Iterable[str]] = ..., top_k: _Optional[int] = ..., min_score: _Optional[float] = ..., logits: _Optional[bool] = ...) -> None: ...

class JobItem(_message.Message):
    __slots__ = ("name", "image", "uri")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    name: str
    image: bytes
    uri: str
    def __init__(self, name: _Optional[str] = ..., image: _Optional[bytes] = ..., uri: _Optional[str] = ...) -> None: ...

class AppendJobRequest(_message.Message):
    __slots__ = ("id", "chunk", "items")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    id: str
    chunk: int
    items: _containers.RepeatedCompositeFieldContainer[JobItem]
    def __init__(self, id: _Optional[str] = ..., chunk: _Optional[int] = ..., items: _Optional[_Iterable[_Union[JobItem, _Mapping]]] = ...) -> None: ...

class AppendJobResponse(_message.Message):
    __slots__ = ("next_chunk", "items")
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    next_chunk: int
    items: int
    def __init__(self, next_chunk: _Optional[int] = ..., items: _Optional[int] = ...) -> None: ...

class SealJobRequest(_message.Message):
    __slots__ = ("id", "chunks")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    id: str
    chunks: int
    def __init__(self, id: _Optional[str] = ..., chunks: _Optional[int] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("id", "cursor", "results")
    ID_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    cursor: str
    results: bool
    def __init__(self, id: _Optional[str] = ..., cursor: _Optional[str] = ..., results: _Optional[bool] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("cursor", "job", "results")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    job: Job
    results: _containers.RepeatedCompositeFieldContainer[JobResult]
    def __init__(self, cursor: _Optional[str] = ..., job: _Optional[_Union[Job, _Mapping]] = ..., results: _Optional[_Iterable[_Union[JobResult, _Mapping]]] = ...) -> None: ...

class JobResultsRequest(_message.Message):
    __slots__ = ("id", "cursor")
    ID_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    cursor: str
    def __init__(self, id: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class JobResult(_message.Message):
    __slots__ = ("cursor", "index", "name", "response", "error")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    index: int
    name: str
    response: _classifier_pb2.ClassifyResponse
    error: _status_pb2.Status
    def __init__(self, cursor: _Optional[str] = ..., index: _Optional[int] = ..., name: _Optional[str] = ..., response: _Optional[_Union[_classifier_pb2.ClassifyResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...
