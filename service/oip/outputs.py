"""Which outputs a request gets, and the classification extension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput
from service.core.messages import Answer
from service.core.scores import scores
from service.core.spec import OUTPUT_NAME, Spec
from service.oip.messages import Parameter, Tensor, Wanted, floats
from service.oip.tensors import BYTES

#: Calibrated scores in 0..1 of all classes: softmax, or sigmoid per label.
SCORES = "scores"
#: What every model declares; both are FP32 [N, classes].
DECLARED = (OUTPUT_NAME, SCORES)
MAX_CLASSIFIED = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The outputs in the order in which they are answered; `layers` are those that the model does not declare."""

    wanted: tuple[Wanted, ...]
    layers: tuple[str, ...]


def plan(wanted: Sequence[Wanted]) -> Plan:
    """What to compute for the outputs asked for, all declared ones for none. Raises `InvalidInput`."""
    names = [each.name for each in wanted]
    if not all(names) or len(set(names)) < len(names):
        raise InvalidInput("outputs", "names, each of them once", names)
    for each in wanted:
        if each.classes is not None and each.classes < 1:
            raise InvalidInput(f"outputs.{each.name}.classification", "1 or more classes", each.classes)
    chosen = tuple(wanted) or tuple(Wanted(name) for name in DECLARED)
    return Plan(chosen, tuple(name for name in names if name not in DECLARED))


def declared(answers: Sequence[Answer], spec: Spec) -> Mapping[str, NDArray[np.float32]]:
    """The declared outputs, [N, classes] each."""
    logits = np.array([answer.logits for answer in answers], np.float32)
    return {OUTPUT_NAME: logits, SCORES: scores(logits, spec)}


def provenance(answers: Sequence[Answer]) -> Mapping[str, Parameter]:
    """What computed an answer, in which company, and where its time went: of several pictures, the slowest one's."""
    slowest = max((answer.timing for answer in answers), key=lambda timing: timing.took_us)
    return {
        "digest": answers[0].digest,
        "provider": slowest.provider,
        "batch_size": slowest.batch_size,
        "queue_us": slowest.queue_us,
        "decode_us": slowest.decode_us,
        "compute_us": slowest.compute_us,
    }


def tensors(plan: Plan, values: Mapping[str, NDArray[np.float32]], spec: Spec) -> tuple[Tensor, ...]:
    """The response's tensors from the values [N, ...] of each output. Raises `InvalidInput`."""
    return tuple(_tensor(wanted, values[wanted.name], spec) for wanted in plan.wanted)


def _tensor(wanted: Wanted, values: NDArray[np.float32], spec: Spec) -> Tensor:
    if wanted.classes is None:
        return floats(wanted.name, values)
    labels = spec.labels if wanted.name in DECLARED else ()
    return classify(wanted.name, values.reshape(len(values), -1), wanted.classes, labels)


def classify(name: str, rows: NDArray[np.float32], k: int, labels: Sequence[str]) -> Tensor:
    """The `k` largest values of each row as "value:index:label", as Triton writes them; nothing is normalised.

    Ties go to the lower index, NaN comes last. Raises `InvalidInput` for rows of more than a million values.
    """
    size = rows.shape[1]
    if size > MAX_CLASSIFIED:
        raise InvalidInput(f"outputs.{name}.classification", f"at most {MAX_CLASSIFIED} values", size)
    count = min(k, size)
    strings: list[bytes] = []
    for row in rows:
        order = np.argsort(-row, kind="stable")[:count].tolist()
        strings += [_described(float(row[index]), index, labels) for index in order]
    return Tensor(name, BYTES, (len(rows), count), strings)


def _described(value: float, index: int, labels: Sequence[str]) -> bytes:
    parts = (f"{value:f}", str(index), *labels[index : index + 1])
    return ":".join(parts).encode()
