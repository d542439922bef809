"""Durable sets of pictures: what they are, and how much of them is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from service.core.errors import InvalidInput
from service.core.messages import ModelKey, Options, Outcome

DAY_S = 24 * 3600
DEFAULT_TTL_S = 7 * DAY_S
MAX_NAME_CHARS = 1024
MAX_URI_CHARS = 2048
MAX_KEY_CHARS = 128
MAX_SOURCES = 64
#: Schemes of the URIs that workers can fetch, where their operator allows it.
SCHEMES = ("file", "https", "s3", "gs")


class JobState(Enum):
    """Where a job stands; the value is its name in Redis."""

    OPEN = "open"  #: takes chunks; what it has is computed already
    RUNNING = "running"  #: sealed
    DONE = "done"  #: every item has its result
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self in {JobState.DONE, JobState.CANCELLED}


class JobPriority(IntEnum):
    """A job's share beside other jobs of its model: each step doubles it. Online requests always go first."""

    LOW = 1
    NORMAL = 2
    HIGH = 3

    @property
    def weight(self) -> int:
        """The share in numbers."""
        return int(2 ** (self - 1))


class Durability(IntEnum):
    """What accepted items survive, weakest first."""

    UNVERIFIED = 0  #: the server does not let its settings be read
    MEMORY = 1  #: nothing
    WRITTEN = 2  #: the end of the server's process, but not of its machine
    FSYNCED = 3  #: both


@dataclass(frozen=True, slots=True)
class Item:
    """One input: an encoded picture, or where to find it. `name` is the caller's, given back with the result."""

    name: str = ""
    image: bytes = b""
    uri: str = ""

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or self.uri

    @property
    def size(self) -> int:
        """Bytes that it takes to keep it."""
        return len(self.image) + len(self.uri) + len(self.name)


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for when a job is opened."""

    model: str
    version: int = 0  #: 0: the latest
    options: Options = field(default_factory=Options)
    priority: JobPriority = JobPriority.NORMAL
    ttl_s: int = DEFAULT_TTL_S  #: how long it is kept after the last thing that happened to it
    idempotency_key: str = ""
    sources: tuple[str, ...] = ()  #: where items come from, in the caller's words


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. Times are in milliseconds since 1970 of the clock of whoever keeps it."""

    id: str
    model: ModelKey
    options: Options
    priority: JobPriority
    state: JobState
    durability: Durability
    items: int  #: accepted
    next_chunk: int
    succeeded: int
    failed: int
    in_flight: int
    created_ms: int
    ended_ms: int  #: 0 while it has not ended
    ttl_s: int
    last_item: str = ""
    sources: tuple[str, ...] = ()

    @property
    def finished(self) -> int:
        """Items with a result."""
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of the item at `index`. Reading on from `cursor` begins with the result after this one."""

    cursor: str
    index: int
    name: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class JobLimits:
    """How much may be kept. `max_bytes` is for the inputs of all jobs that have no result yet."""

    max_jobs: int = 10_000
    max_items: int = 10_000_000
    max_chunk_items: int = 1024
    max_bytes: int = 2**30
    max_ttl_s: int = 30 * DAY_S
    least: Durability = Durability.FSYNCED  #: what is weaker is refused


def check_order(order: Order, limits: JobLimits) -> None:
    """Raise `InvalidInput` for an order that breaks a limit."""
    if not 0 < order.ttl_s <= limits.max_ttl_s:
        raise InvalidInput("ttl_seconds", f"1 to {limits.max_ttl_s}", order.ttl_s)
    if len(order.idempotency_key) > MAX_KEY_CHARS:
        limit = f"at most {MAX_KEY_CHARS} characters"
        raise InvalidInput("idempotency_key", limit, f"{len(order.idempotency_key)} characters")
    if len(order.sources) > MAX_SOURCES:
        raise InvalidInput("sources", f"at most {MAX_SOURCES}", len(order.sources))
    for source in order.sources:
        if len(source) > MAX_URI_CHARS:
            raise InvalidInput("sources", f"at most {MAX_URI_CHARS} characters each", f"{len(source)} characters")


def check_chunk(items: Sequence[Item], limits: JobLimits) -> int:
    """The bytes of a chunk; raises `InvalidInput` when it, or one of its items, breaks a limit."""
    if not 0 < len(items) <= limits.max_chunk_items:
        raise InvalidInput("items", f"1 to {limits.max_chunk_items} in a chunk", len(items))
    for position, item in enumerate(items):
        _check_item(f"items[{position}]", item)
    size = sum(item.size for item in items)
    if size > limits.max_bytes:
        raise InvalidInput("items", f"at most {limits.max_bytes} bytes in all jobs", f"a chunk of {size} bytes")
    return size


def _check_item(field_name: str, item: Item) -> None:
    """Whether its picture is one is for the worker to find out: then the item fails, and not its chunk."""
    for part, text, most in (("name", item.name, MAX_NAME_CHARS), ("uri", item.uri, MAX_URI_CHARS)):
        if len(text) > most:
            raise InvalidInput(f"{field_name}.{part}", f"at most {most} characters", f"{len(text)} characters")
    if item.uri and item.uri.partition("://")[0] not in SCHEMES:
        raise InvalidInput(f"{field_name}.uri", f"one that begins with {', '.join(SCHEMES)}", item.uri)
