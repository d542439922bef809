"""Which layers stand behind the kernels that a runtime made of them, and how long each takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.core.graph import Node
from service.core.layers import LayerInfo, Role
from service.core.quantised import Integers


@dataclass(frozen=True, slots=True)
class Kernel:
    """One operation of the optimised network, and its time for one batch, averaged over the runs."""

    name: str
    op: str
    provider: str
    mean_us: float


@dataclass(frozen=True, slots=True)
class KernelGroup:
    """A kernel and the layers that were fused into it, in the order in which they start.

    Without layers it changes the layout of its input, or prepares the pixels.
    """

    kernel: Kernel
    layers: tuple[str, ...]


def groups(
    kernels: Sequence[Kernel],
    fused: Sequence[Node],
    layers: Sequence[LayerInfo],
    integers: Mapping[str, Integers],
) -> tuple[KernelGroup, ...]:
    """The kernels with their layers.

    `fused` is the network after all fusions that keep the names of tensors (ONNX Runtime's level EXTENDED). The last
    level only changes layouts, and takes a sum and an activation into the convolution before them: its kernels bear the
    name of a fused node or, with blocked channels, of its output.
    """
    kernel_of = _anchors(kernels, fused)
    for node in fused:
        if node.output not in kernel_of:
            before = [kernel_of[name] for name in node.inputs if name in kernel_of]
            if before:  # absorbed by the kernel that computed the last of its inputs
                kernel_of[node.output] = max(before)
    found: dict[int, list[str]] = {}
    ends = _ends(layers, integers)
    for layer in layers:
        index = kernel_of.get(ends[layer.id])
        if index is not None and Role.BLOCK not in layer.roles:
            found.setdefault(index, []).append(layer.id)
    return tuple(KernelGroup(kernel, tuple(found.get(index, ()))) for index, kernel in enumerate(kernels))


def _anchors(kernels: Sequence[Kernel], fused: Sequence[Node]) -> dict[str, int]:
    """Output of a fused node -> the kernel that bears its name."""
    indices = {_plain(kernel.name): index for index, kernel in enumerate(kernels)}
    named: dict[str, int] = {}
    for node in fused:
        for name in (node.name, f"{node.output}_nchwc"):
            if name and name in indices:
                named[node.output] = indices[name]
    return named


def _plain(name: str) -> str:
    """A kernel's name without what keeps it unique in the layout of the last level."""
    return re.sub(r"_token_\d+$", "", name)


def _ends(layers: Sequence[LayerInfo], integers: Mapping[str, Integers]) -> Mapping[str, str]:
    """Layer -> the tensor that is left of it in the fused network: of INT8 the integers."""
    tensors = {layer.id: layer.tensor for layer in layers}
    left = {layer.id: tensors.get(layer.folded_into, layer.tensor) for layer in layers}
    return {id_: integers[tensor].tensor if tensor in integers else tensor for id_, tensor in left.items()}
