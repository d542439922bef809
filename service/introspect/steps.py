"""Many pictures through the tap sessions of one network or several, in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.core.graph import Array, Graph
from service.core.introspection import Kernels
from service.core.layers import LayerInfo
from service.engine.taps import TapSessions
from service.introspect.tapping import MAX_TAPS, Subject

#: Bytes of tensors held at once, of all networks together; at least one picture's layer is.
TAPPED_BYTES = 64 << 20
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Patient:
    """A network, the layers that are looked at, and the pixels [N, height, width, channels] that it is shown."""

    subject: Subject
    graph: Graph = field(repr=False)
    layers: Sequence[LayerInfo]
    pixels: NDArray[np.uint8] = field(repr=False)

    @property
    def images(self) -> int:
        """How many pictures."""
        return len(self.pixels)

    def logits(self) -> NDArray[np.float32]:
        """What the serving session says to all pictures, [N, classes]."""
        starts = range(0, self.images, _BATCH)
        return np.concatenate([self.subject.engine.run(self.pixels[at : at + _BATCH]) for at in starts])


@dataclass(frozen=True, slots=True)
class Step:
    """One batch through some layers: their positions, the pictures' indices, and the tensors of each network.

    The last step of these layers `closes` them.
    """

    positions: range
    images: range
    values: Sequence[Mapping[str, Array]] = field(repr=False)
    done: int
    total: int
    closes: bool


def steps(sessions: TapSessions, patients: Sequence[Patient], kernels: Kernels) -> Iterator[Step]:
    """All layers of all networks, which have as many of them, and as many pictures. Each step blocks.

    Raises `EngineFailed` or `Refused`.
    """
    images = patients[0].images
    plan = [(positions, _batch(patients, positions)) for positions in _groups(patients)]
    total = sum(-(-images // size) for _, size in plan)
    done = 0
    for positions, size in plan:
        tensors = [[patient.layers[position].tensor for position in positions] for patient in patients]
        built = [
            sessions.get(patient.subject.source, names, kernels).session
            for patient, names in zip(patients, tensors, strict=True)
        ]
        for start in range(0, images, size):
            shown = range(start, min(start + size, images))
            values = [
                session.run(patient.pixels[shown.start : shown.stop])
                for session, patient in zip(built, patients, strict=True)
            ]
            done += 1
            yield Step(positions, shown, values, done, total, closes=shown.stop == images)


def _groups(patients: Sequence[Patient]) -> Iterator[range]:
    """Positions of layers that are tapped together."""
    start, held = 0, 0
    count = len(patients[0].layers)
    for position in range(count):
        size = _bytes(patients, position)
        if position > start and (held + size > TAPPED_BYTES or position - start >= MAX_TAPS):
            yield range(start, position)
            start, held = position, 0
        held += size
    yield range(start, count)


def _batch(patients: Sequence[Patient], positions: range) -> int:
    held = sum(_bytes(patients, position) for position in positions)
    return max(1, min(_BATCH, TAPPED_BYTES // max(held, 1)))


def _bytes(patients: Sequence[Patient], position: int) -> int:
    return sum(patient.layers[position].type.bytes for patient in patients)
