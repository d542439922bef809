"""Running tap sessions for one picture: which tensors together, and how far the logits are from those served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.graph import Array, Graph, ancestors
from service.core.introspection import Kernels, Parity
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.core.spec import OUTPUT_NAME
from service.engine.taps import TapSessions, TapSource
from service.introspect.pricing import Priced

#: Tensors of one session: every one defeats the reuse of its buffer.
MAX_TAPS = 256
#: From this share of the nodes on, a session computes the logits too: the whole network then costs little more.
_WHOLE = 0.5


@dataclass(frozen=True, slots=True)
class Subject:
    """A served model version and the way to its file."""

    key: ModelKey
    engine: Engine
    source: TapSource


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its id if it is kept, its pixels [height, width, channels], its logits [classes] as served."""

    id: str
    pixels: NDArray[np.uint8]
    logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tapped:
    """Tensors of one picture, [1, ...], how they were come by, and what building the sessions took, in seconds."""

    values: Mapping[str, Array]
    parity: Parity
    build_s: float


class Tapping:
    """Fetches tensors of a picture from tap sessions, and compares the logits with those of the serving session."""

    def __init__(self, sessions: TapSessions) -> None:
        self._sessions = sessions
        self._whole: dict[tuple[str, Kernels], float] = {}

    def tap(self, subject: Subject, graph: Graph, tensors: Sequence[str], shot: Shot, kernels: Kernels) -> Tapped:
        """The `tensors` of one picture. Blocks. Raises `EngineFailed` or `Refused`."""
        batch = shot.pixels[np.newaxis]
        given = {name: batch for name in tensors if name in graph.inputs}
        computed = [name for name in tensors if name not in given]
        if _is_most(graph, computed):
            built = self._sessions.get(subject.source, [*computed, OUTPUT_NAME], kernels)
            values = built.session.run(batch)
            return Tapped({**given, **values}, Parity(_difference(values, shot.logits), here=True), built.build_s)
        parity, parity_build_s = self._whole_parity(subject, shot, kernels)
        built = self._sessions.get(subject.source, computed, kernels)
        return Tapped({**given, **built.session.run(batch)}, parity, parity_build_s + built.build_s)

    def _whole_parity(self, subject: Subject, shot: Shot, kernels: Kernels) -> tuple[Parity, float]:
        """The parity of the whole network, measured once per file and kernels; and the time to build, in seconds."""
        key = (subject.source.digest, kernels)
        if key in self._whole:
            return Parity(self._whole[key], here=False), 0.0
        built = self._sessions.get(subject.source, [OUTPUT_NAME], kernels)
        self._whole[key] = _difference(built.session.run(shot.pixels[np.newaxis]), shot.logits)
        return Parity(self._whole[key], here=False), built.build_s


def groups(priced: Sequence[Priced], max_bytes: int) -> Iterator[Sequence[Priced]]:
    """Layers to be tapped together, in order: at most `MAX_TAPS` tensors of `max_bytes` in all, but one at least."""
    group: list[Priced] = []
    tensors: set[str] = set()
    held = 0
    for each in priced:
        layer = each.layer
        more = 0 if layer.tensor in tensors else layer.type.bytes
        if group and more and (len(tensors) == MAX_TAPS or held + more > max_bytes):
            yield group
            group, tensors, held, more = [], set(), 0, layer.type.bytes
        group.append(each)
        tensors.add(layer.tensor)
        held += more
    if group:
        yield group


def _is_most(graph: Graph, tensors: Sequence[str]) -> bool:
    return OUTPUT_NAME in tensors or len(ancestors(graph, tensors)) >= _WHOLE * len(graph.nodes)


def _difference(values: Mapping[str, Array], served: NDArray[np.float32]) -> float:
    return float(np.abs(values[OUTPUT_NAME][0] - served).max())
