"""Pictures that were sent before, by the SHA-256 of their bytes, for a while."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput, NoSuchPicture


def id_of(image: bytes) -> str:
    """The SHA-256 of a picture's bytes, in hex: so anybody can tell it without asking."""
    return hashlib.sha256(image).hexdigest()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one served model made of a picture: its pixels [height, width, channels] and their logits [classes]."""

    pixels: NDArray[np.uint8] = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)

    @property
    def bytes(self) -> int:
        """What it takes."""
        return self.pixels.nbytes + self.logits.nbytes


@dataclass(slots=True)
class _Kept:
    """A picture, until when it is kept, and what was made of it by the digest of each model file."""

    image: bytes
    until: float
    seen: dict[str, Seen] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return len(self.image) + sum(each.bytes for each in self.seen.values())


class PictureStore:
    """Encoded pictures in memory, `ttl_s` seconds after they were last used, the oldest leaving beyond `max_bytes`.

    What models made of them leaves with them. Thread-safe. `now` is a monotonic clock in seconds.
    """

    def __init__(self, max_bytes: int, ttl_s: float, now: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._now = now
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # the one last used is last

    def put(self, image: bytes) -> str:
        """Remember a picture, and return its id; raises `InvalidInput` when it alone exceeds the store."""
        if len(image) > self._max_bytes:
            raise InvalidInput("picture.keep", f"pictures of at most {self._max_bytes} bytes are kept", len(image))
        id_ = id_of(image)
        with self._lock:
            self._kept.setdefault(id_, _Kept(image, 0.0))
            self._touch(id_)
            self._expire()
        return id_

    def get(self, id: str) -> bytes:
        """The picture with this id; raises `NoSuchPicture` when it was never sent, or is forgotten."""
        with self._lock:
            self._expire()
            if id not in self._kept:
                raise NoSuchPicture(f"picture.id: no picture {id!r} is kept; send it again")
            self._touch(id)
            return self._kept[id].image

    def saw(self, id: str, digest: str, seen: Seen) -> None:
        """Remember what a model file made of a picture for as long as that is kept, if there is room for both."""
        with self._lock:
            if id in self._kept and self._kept[id].bytes + seen.bytes <= self._max_bytes:
                self._kept[id].seen[digest] = seen
                self._expire()

    def seen(self, id: str, digest: str) -> Seen | None:
        """What it made of it; None if that is not known."""
        with self._lock:
            return self._kept[id].seen.get(digest) if id in self._kept else None

    def forget(self, digest: str) -> None:
        """Drop what a model file made of any picture: served anew, it may run elsewhere."""
        with self._lock:
            for kept in self._kept.values():
                kept.seen.pop(digest, None)

    def _touch(self, id: str) -> None:
        self._kept[id].until = self._now() + self._ttl_s
        self._kept.move_to_end(id)

    def _expire(self) -> None:
        held = sum(kept.bytes for kept in self._kept.values())
        while self._kept:
            id_, oldest = next(iter(self._kept.items()))
            if held <= self._max_bytes and self._now() < oldest.until:
                return
            del self._kept[id_]
            held -= oldest.bytes
