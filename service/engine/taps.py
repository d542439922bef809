"""Tap sessions: a second ONNX Runtime session that also gives intermediate tensors. The serving session never does.

A tensor that is fetched cannot be fused away, so tapping changes what ONNX Runtime does with its neighbours; that is
why these sessions are apart, and why their logits are compared with the serving session's. Each holds only the nodes
that its tensors need: ONNX Runtime computes everything in a graph whatever is fetched (onnxruntime#16013).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.core.errors import EngineFailed
from service.core.graph import Array
from service.core.introspection import Kernels
from service.core.quantised import QUANTIZE
from service.core.spec import INPUT_NAME
from service.core.tuning import Setting
from service.engine import graph
from service.engine.arena import use_arena
from service.engine.session import RUNTIME_ERRORS, open_session, serving_options

#: How whatever is not looked into as served is run.
_PLAIN = Setting("cpu", "fp32", lanes=1, intra_op_threads=1, batch=1)


@dataclass(frozen=True, slots=True)
class TapSource:
    """What tap sessions of one model version are built from.

    `read` gives the bytes of the model file whose SHA-256 is `digest`; `setting` is how it is served. `part` names
    what `read` made of the file before, "" for nothing.
    """

    digest: str
    setting: Setting
    read: Callable[[], bytes]
    part: str = ""

    def derived(self, part: str, rewrite: Callable[[bytes], bytes]) -> TapSource:
        """The source of another graph made of the same file: forgotten together with it."""
        return replace(self, part=part, read=lambda: rewrite(self.read()))


class TapSession:
    """One session and the tensors that it gives. Thread-safe."""

    def __init__(self, session: ort.InferenceSession, tensors: tuple[str, ...], size_bytes: int) -> None:
        self.tensors = tensors
        self.size_bytes = size_bytes  #: of the cut model file; the session's own copy of the weights is about as large
        self._session = session

    def run(self, batch: NDArray[np.uint8]) -> Mapping[str, Array]:
        """Pixels [N, height, width, channels] -> every tensor, [N, ...]. Blocks. Raises `EngineFailed`."""
        return self.feed({INPUT_NAME: batch})

    def feed(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Like `run`, of a graph that takes other things than a picture, or more."""
        try:
            values = self._session.run(list(self.tensors), dict(inputs))
        except RUNTIME_ERRORS as error:
            raise EngineFailed(f"ONNX Runtime failed on the tapped graph: {error}") from error
        return dict(zip(self.tensors, values, strict=True))


@dataclass(frozen=True, slots=True)
class Built:
    """A session, and what building it took, in seconds: 0 when it was there."""

    session: TapSession
    build_s: float


class TapSessions:
    """Tap sessions by model file, kernels and tensors. The least recently used leave beyond `max_bytes`."""

    def __init__(self, max_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._kept: OrderedDict[tuple[str, str, Kernels, tuple[str, ...]], TapSession] = OrderedDict()
        # Builds are serial: two at once would take memory twice and cores from serving.
        self._building = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """What the kept sessions hold."""
        return sum(session.size_bytes for session in self._kept.values())

    def get(self, source: TapSource, tensors: Sequence[str], kernels: Kernels) -> Built:
        """The session that gives `tensors`, built if need be. Blocks. Raises `Refused` or `InvalidInput`."""
        wanted = tuple(sorted(set(tensors)))
        key = (source.digest, source.part, kernels, wanted)
        with self._building:
            if key in self._kept:
                self._kept.move_to_end(key)
                return Built(self._kept[key], 0.0)
            started = self._now()
            self._kept[key] = session = build(source, wanted, kernels)
            self._evict()
            return Built(session, self._now() - started)

    def forget(self, digest: str) -> None:
        """Drop the sessions of one model file."""
        with self._building:
            for key in [key for key in self._kept if key[0] == digest]:
                del self._kept[key]

    def _evict(self) -> None:
        while self.size_bytes > self._max_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)


def build(source: TapSource, tensors: Sequence[str], kernels: Kernels) -> TapSession:
    """A session that gives `tensors`, to be kept by whoever uses it. Blocks. Raises what `TapSessions.get` does."""
    whole = graph.parse(source.read())
    model = graph.tapped(whole, tensors)
    # Integers differ by a step between optimisation levels (onnxruntime#32132): only the serving one is true.
    integers = any(node.op_type == QUANTIZE for node in whole.graph.node)
    if kernels is Kernels.AS_SERVED:
        session = _served(model, replace(source.setting, lanes=1, intra_op_threads=1))
    elif kernels is Kernels.UNFUSED or integers:
        session = _served(model, _PLAIN)
    else:
        session = _reference(model)
    return TapSession(session, tuple(tensors), len(model))


def _served(model: bytes, setting: Setting) -> ort.InferenceSession:
    options = serving_options(setting)
    if setting.provider == _PLAIN.provider:
        use_arena(options)
    return open_session(model, setting, options)


def _reference(model: bytes) -> ort.InferenceSession:
    options = serving_options(_PLAIN)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    use_arena(options)
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except RUNTIME_ERRORS as error:
        raise EngineFailed(f"ONNX Runtime cannot load the tapped graph: {error}") from error
