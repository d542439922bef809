"""A request and its response, off the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.core.messages import Priority

#: Elements in C order: numbers as an array of the tensor's shape, strings one after the other.
Elements = NDArray[Any] | Sequence[bytes]
#: What a parameter may be.
Parameter = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor. `datatype` is the protocol's name; BYTES has a sequence of strings, the others have arrays."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: Elements


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that was asked for by name; with `classes`, as its so many largest values with index and label."""

    name: str
    classes: int | None = None


@dataclass(frozen=True, slots=True)
class InferRequest:
    """`version` is "" for the one that `label` or the model's routing name, or else the latest ready one.

    Without `outputs`, every declared one. `timeout_us` 0 means none. `route_key` stands for the id in a split.
    """

    model: str
    version: str
    id: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Wanted, ...] = ()
    timeout_us: int = 0
    priority: Priority = Priority.NORMAL
    label: str = ""
    route_key: str = ""


@dataclass(frozen=True, slots=True)
class InferResponse:
    """`parameters` tell where the answer came from."""

    model: str
    version: int
    id: str
    outputs: tuple[Tensor, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def floats(name: str, values: NDArray[np.float32]) -> Tensor:
    """A tensor of 32-bit floats."""
    return Tensor(name, "FP32", values.shape, values)
