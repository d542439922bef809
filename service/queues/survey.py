"""What an operator sees of the queue, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.messages import ModelKey, Priority


@dataclass(frozen=True, slots=True)
class Post:
    """One worker of one model version. Without lanes it is dead, or `released`: where the leases of the dead wait."""

    worker: str
    lanes: int
    leases: int


@dataclass(frozen=True, slots=True)
class LineSurvey:
    """One model version: what is queued for it, who works on it, and what has killed its workers."""

    model: ModelKey
    entries: Mapping[Priority, int]  #: queued or running
    oldest_s: float  #: since the oldest of them was queued
    bytes: int
    ms_per_item: float  #: of one lane, a running mean; 0 until something was computed
    workers: tuple[Post, ...]
    dead_letters: int

    @property
    def leased(self) -> int:
        """How many of the entries a worker holds."""
        return sum(post.leases for post in self.workers)

    @property
    def lanes(self) -> int:
        """Lanes that work on it."""
        return sum(post.lanes for post in self.workers)

    @property
    def wait_s(self) -> float:
        """The wait that one more request is to expect."""
        return sum(self.entries.values()) * self.ms_per_item / 1000 / max(1, self.lanes)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A request that has killed its workers too often. `image` is its picture, or the beginning of a large one."""

    entry: str  #: names the letter
    model: ModelKey
    id: str  #: the request's
    reason: str
    deaths: int
    size: int  #: bytes of the picture
    sha256: str  #: of the picture, in hex
    image: bytes

    @property
    def died_ms(self) -> int:
        """When it was buried, in milliseconds of Redis' Unix time."""
        return int(self.entry.partition("-")[0])

    @property
    def whole(self) -> bool:
        """Whether all of the picture was kept."""
        return len(self.image) == self.size
