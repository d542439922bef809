"""What is known about a layer, and how layers are chosen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from service.core.errors import InvalidInput, NoSuchLayer
from service.core.geometry import Field, Window
from service.core.graph import TensorType

#: Prefix of the ids of operations that no module call stands for, such as a sum written in `forward`.
TENSOR = "tensor:"
_NEAREST = 3


class Role(Enum):
    """What a layer is for; it may have several."""

    CONVOLUTION = "convolution"
    DENSE = "dense"
    NORM = "norm"
    ACTIVATION = "activation"
    POOL = "pool"
    MERGE = "merge"  #: sum or concatenation of branches
    GATE = "gate"  #: a map multiplied by weights computed from the picture
    SOFTMAX = "softmax"
    RESHAPE = "reshape"
    BLOCK = "block"  #: contains other layers
    OTHER = "other"
    PRE_ACTIVATION = "pre-activation"  #: its output goes into an activation
    LOGITS = "logits"  #: its output is the network's


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer: a module call, or an operation that belongs to none (`named_by` says which).

    `window` is the one window it slides, if there is exactly one; `formulas` are its output size per axis. Parameters
    are those a training changes; MACs are for one picture. `field` is None where an operation is not understood.
    `folded_into` is the layer whose output is all that is left of this one when it is served, "" if this one is left;
    `also_known_as` are the other layers with the same output.
    """

    id: str
    path: str
    call: int
    class_name: str
    named_by: Literal["module", "node"]
    roles: frozenset[Role]
    ops: tuple[str, ...]
    tensor: str
    type: TensorType
    inputs: tuple[str, ...]
    window: Window | None = None
    groups: int = 1
    formulas: tuple[str, ...] = ()
    parameters: int = 0
    macs: int = 0
    field: Field | None = None
    folded_into: str = ""
    also_known_as: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """1 for a top-level module, 2 for its children."""
        return self.path.count(".") + 1


@dataclass(frozen=True, slots=True)
class Selector:
    """Layers that match any of `include`, none of `exclude`, and one of each other list that is not empty.

    Patterns are for ids and module paths: `*` and `?` stay within one name, `**` crosses dots. Where modules
    are named, only a pattern that begins with `tensor:` matches operations that belong to none. Without `include`,
    and without a wish for roles, operations or classes, all module calls are chosen, or all operations of a file that
    names no modules. Classes match by their last part. `max_depth` 0 means any; `limit` 0 none.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset()
    ops: frozenset[str] = frozenset()
    class_names: frozenset[str] = frozenset()
    max_depth: int = 0
    limit: int = 0


def select(layers: Sequence[LayerInfo], selector: Selector) -> tuple[LayerInfo, ...]:
    """The chosen layers, in the order in which they run.

    Raises `InvalidInput` for an empty pattern, `NoSuchLayer` for one in `include` that matches nothing.
    """
    named = any(layer.named_by == "module" for layer in layers)
    included = [pattern(text, f"layers.include[{i}]", named=named) for i, text in enumerate(selector.include)]
    excluded = [pattern(text, f"layers.exclude[{i}]", named=named) for i, text in enumerate(selector.exclude)]
    for text, wanted in zip(selector.include, included, strict=True):
        if not any(_matches(layer, wanted) for layer in layers):
            raise missing(layers, text)
    chosen = (
        layer
        for layer in _offered(layers, selector)
        if (not included or any(_matches(layer, each) for each in included))
        and not any(_matches(layer, each) for each in excluded)
        and _is_wanted(layer, selector)
    )
    return tuple(chosen)[: selector.limit or None]


def find(layers: Sequence[LayerInfo], id: str) -> LayerInfo:
    """The layer with this id; raises `NoSuchLayer` naming the three nearest."""
    for layer in layers:
        if layer.id == id:
            return layer
    raise missing(layers, id)


def missing(layers: Iterable[LayerInfo], wanted: str) -> NoSuchLayer:
    """The error that names the nearest layers."""
    ids = [layer.id for layer in layers]
    nearest = difflib.get_close_matches(wanted, ids, n=_NEAREST, cutoff=0.0)
    return NoSuchLayer(f"layer: none is called {wanted!r}; nearest are {', '.join(nearest)}")


def _offered(layers: Sequence[LayerInfo], selector: Selector) -> Sequence[LayerInfo]:
    named = [layer for layer in layers if layer.named_by == "module"]
    wishes = selector.include or selector.roles or selector.ops or selector.class_names
    return layers if wishes or not named else named


def _is_wanted(layer: LayerInfo, selector: Selector) -> bool:
    classes = {name.rpartition(".")[2] for name in selector.class_names}
    return (
        (not selector.roles or not selector.roles.isdisjoint(layer.roles))
        and (not selector.ops or not selector.ops.isdisjoint(layer.ops))
        and (not classes or layer.class_name in classes)
        and (not selector.max_depth or layer.depth <= selector.max_depth)
    )


def _matches(layer: LayerInfo, wanted: re.Pattern[str]) -> bool:
    """A pattern with wildcards means every call of a module; a plain name means one."""
    return wanted.fullmatch(layer.id) is not None or (
        wanted.groups > 0 and layer.named_by == "module" and wanted.fullmatch(layer.path) is not None
    )


_WILDCARDS = {"**.": r"((?:.*\.)?)", "**": r"(.*)", "*": r"([^.]*)", "?": r"([^.])"}


def pattern(text: str, field: str, *, named: bool) -> re.Pattern[str]:
    """What a pattern matches of ids and paths; `named`: whether there are modules, beside which others hide from stars.

    Raises `InvalidInput`, naming the `field`, when it is empty.
    """
    if not text:
        raise InvalidInput(field, "a layer's name, or a pattern with *, ** or ?", repr(text))
    parts = re.split(r"(\*\*\.|\*\*|\*|\?)", text)
    hidden = f"(?!{TENSOR})" if named and not text.startswith(TENSOR) else ""
    return re.compile(hidden + "".join(_WILDCARDS.get(part, re.escape(part)) for part in parts))
