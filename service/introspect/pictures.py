"""Pictures that were sent before, by the SHA-256 of their bytes, for a while."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable

from service.core.errors import InvalidInput, NoSuchPicture


class PictureStore:
    """Encoded pictures in memory, `ttl_s` seconds after they were last used, the oldest leaving beyond `max_bytes`.

    Thread-safe. `now` is a monotonic clock in seconds.
    """

    def __init__(self, max_bytes: int, ttl_s: float, now: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._now = now
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # the one last used is last

    def put(self, image: bytes) -> str:
        """Remember a picture, and return its id; raises `InvalidInput` when it alone exceeds the store."""
        if len(image) > self._max_bytes:
            raise InvalidInput("picture.keep", f"pictures of at most {self._max_bytes} bytes are kept", len(image))
        id_ = hashlib.sha256(image).hexdigest()
        with self._lock:
            self._touch(id_, image)
            self._expire()
        return id_

    def get(self, id: str) -> bytes:
        """The picture with this id; raises `NoSuchPicture` when it was never sent, or is forgotten."""
        with self._lock:
            self._expire()
            if id not in self._kept:
                raise NoSuchPicture(f"picture.id: no picture {id!r} is kept; send it again")
            _, image = self._kept[id]
            self._touch(id, image)
            return image

    def _touch(self, id: str, image: bytes) -> None:
        self._kept[id] = (self._now() + self._ttl_s, image)
        self._kept.move_to_end(id)

    def _expire(self) -> None:
        held = sum(len(image) for _, image in self._kept.values())
        while self._kept:
            id_, (until, image) = next(iter(self._kept.items()))
            if held <= self._max_bytes and self._now() < until:
                return
            del self._kept[id_]
            held -= len(image)
