"""What makes two requests the same, and which answers to them are kept. Decisions only."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

from service.core.messages import Answer, Options, Request, Timing

#: Goes into every key: to be raised when the same picture would be read in another way than before.
_READING = b"1"
#: What a kept answer takes beside its labels and numbers, in bytes; as CPython has them, rounded up.
_ANSWER_BYTES, _PREDICTION_BYTES, _NUMBER_BYTES = 512, 160, 32


def key_of(digest: str, request: Request) -> bytes:
    """SHA-256 over all that an answer depends on: the model file, which holds its preprocessing, options, and bytes.

    Each part is preceded by its length, so that no two requests run into each other; the 64-bit hash over names and
    bytes that Triton uses does not tell shapes and parameters apart.
    """
    hasher = hashlib.sha256()
    for part in (_READING, digest.encode(), _told(request.options), request.image):
        hasher.update(len(part).to_bytes(8))
        hasher.update(part)
    return hasher.digest()


def _told(options: Options) -> bytes:
    kind = "pixels" if options.pixels else "encoded"
    return f"{options.top_k} {options.min_score!r} {options.logits} {kind}".encode()


def size_of(answer: Answer) -> int:
    """About how many bytes an answer takes while it is kept."""
    labels = sum(len(each.label) for each in answer.predictions)
    numbers = len(answer.logits) * _NUMBER_BYTES + len(answer.predictions) * _PREDICTION_BYTES
    return _ANSWER_BYTES + labels + numbers


def given_again(answer: Answer, request: Request) -> Answer:
    """The answer to another request for the same: nothing was queued, decoded or computed for it."""
    return replace(answer, id=request.id, model=request.model, timing=Timing(0, 0, 0, 0, "cache"))


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    size: int
    until_s: float


class Answers:
    """The answers used last, of at most `max_bytes` together, each for `ttl_s` seconds. Times are the caller's."""

    def __init__(self, max_bytes: int, ttl_s: float) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self.bytes = 0  #: of all that is kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes, now_s: float) -> Answer | None:
        """The answer kept under a key, which by this is the one used last."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until_s <= now_s:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def put(self, key: bytes, answer: Answer, now_s: float) -> None:
        """Keep an answer, in place of those that were not used for longest; one that is too large is not kept."""
        size = size_of(answer)
        if size > self._max_bytes:
            return
        if key in self._kept:
            self._drop(key)
        self._kept[key] = _Kept(answer, size, now_s + self._ttl_s)
        self.bytes += size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        self.bytes -= self._kept.pop(key).size
