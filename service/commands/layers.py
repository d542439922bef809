"""`vitrine layers`: the modules of a model as a tree, with what each does to sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from service.client import Selector
from service.commands import asking, facts, terminal
from service.core.introspection import Listing
from service.core.layers import LayerInfo


def show(server: str, model: str, version: int, patterns: Sequence[str]) -> None:
    """Print the chosen layers of a model, by default every module call."""
    with asking.client(server) as client:
        listing = client.layers(model, Selector(tuple(patterns)), version=version)
    console = terminal.page()
    console.print(_table(listing))
    if not listing.names_modules:
        console.print("The file tells no PyTorch modules: layers are named after its ONNX nodes.")


def _table(listing: Listing) -> Table:
    table = terminal.table(
        "layer", "class", "output", "window", "field", "parameters", "MACs", "served within",
        title=f"{listing.key}  {listing.digest[:12]}"
    )  # fmt: skip
    for column in table.columns[4:7]:
        column.justify = "right"
    for branch, layer in lines(listing.layers):
        table.add_row(branch, *(_cells(layer) if layer else ()))
    outer = [layer for layer in listing.layers if not any(_holds(other, layer) for other in listing.layers)]
    table.add_section()
    table.add_row(
        f"{len(listing.layers)} layers", "", "", "", "",
        facts.count(sum(layer.parameters for layer in outer)), facts.count(sum(layer.macs for layer in outer)),
    )  # fmt: skip
    return table


def _cells(layer: LayerInfo) -> tuple[str, ...]:
    return (
        layer.class_name,
        facts.shape(layer),
        facts.window(layer),
        facts.field(layer),
        facts.count(layer.parameters),
        facts.count(layer.macs),
        layer.folded_into,
    )


def _holds(layer: LayerInfo, other: LayerInfo) -> bool:
    """Whether what `other` counts is counted in `layer`, too."""
    return other.path.startswith(f"{layer.path}.")


@dataclass(slots=True)
class _Node:
    layer: LayerInfo | None = None
    children: dict[str, _Node] = field(default_factory=dict)


def lines(layers: Iterable[LayerInfo]) -> Iterator[tuple[str, LayerInfo | None]]:
    """One line for each name of the tree: its last part behind the branches, and the layer, if it is one."""
    root = _Node()
    for layer in layers:
        node = root
        parts = layer.id.split(".") if layer.named_by == "module" else [layer.id]
        for part in parts:
            node = node.children.setdefault(part, _Node())
        node.layer = layer
    yield from _below(root, "")


def _below(node: _Node, indent: str) -> Iterator[tuple[str, LayerInfo | None]]:
    last = len(node.children) - 1
    for index, (name, child) in enumerate(node.children.items()):
        turn, on = ("└─ ", "   ") if index == last else ("├─ ", "│  ")
        yield indent + turn + name, child.layer
        yield from _below(child, indent + on)
