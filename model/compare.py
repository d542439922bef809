"""Two networks layer by layer, without a server: published files, or a file and its network in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor, nn

from model import net as nets
from model import recipe, reference
from model.checkpoint import BEST, read_best
from model.net import normalise
from service.core.comparison import Compared, LayerDifference, first_diverging, with_drops
from service.core.errors import InvalidInput
from service.core.graph import Array, Graph
from service.core.introspection import Kernels
from service.core.spec import INPUT_NAME, Layer, Preprocess
from service.core.tuning import Setting
from service.engine import graph as files
from service.engine.store import StoredModel
from service.engine.taps import TapSessions, TapSource

_CPU = Setting("cpu", "fp32", lanes=1, intra_op_threads=1, batch=1)
_SESSION_BYTES = 256 << 20
_KEPT_BYTES = 32 << 20  # of one layer's values, to compare representations
_BATCH = 16

#: Pixels [N, height, width, channels] -> what each layer gives, [N, ...], by its id.
Look = Callable[[NDArray[np.uint8]], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Network:
    """Something whose layers can be looked at; `layers` and `graph` are known of files only."""

    name: str
    look: Look
    preprocess: Preprocess | None = None
    layers: tuple[Layer, ...] = ()
    graph: Graph | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """Every layer that both have, in the order of the first; `first_diverging` "" when all are above the threshold."""

    first: str
    other: str
    images: int
    threshold_db: float
    layers: tuple[LayerDifference, ...]
    drops_db: Mapping[str, float]
    first_diverging: str
    only_first: tuple[str, ...]


def published_network(stored: StoredModel) -> Network:
    """A published file, on ONNX Runtime's CPU provider."""
    spec = stored.spec
    tensors = {layer.id: layer.tensor for layer in spec.layers if layer.tensor != INPUT_NAME}
    source = TapSource(stored.digest, _CPU, lambda: stored.model)
    session = TapSessions(_SESSION_BYTES).get(source, list(tensors.values()), Kernels.REFERENCE).session

    def look(pixels: NDArray[np.uint8]) -> Mapping[str, Array]:
        values = session.run(pixels)
        return {id_: values[tensor] for id_, tensor in tensors.items()}

    return Network(str(stored.key), look, spec.preprocess, spec.layers, files.read(stored.model))


def torch_network(path: Path) -> Network:
    """A run's folder, a checkpoint, or a recipe that holds its weights. Raises `InvalidInput`."""
    if path.suffix == ".toml":
        return of_torch(nets.build(recipe.load(path)), path.stem)
    checkpoint = path / BEST if path.is_dir() else path
    if not checkpoint.is_file():
        raise InvalidInput("other", f"must be a version, a run with {BEST}, a checkpoint or a recipe", path)
    return of_torch(read_best(checkpoint).net(), str(path))


def of_torch(net: nn.Module, name: str) -> Network:
    """A network in PyTorch, seen by hooks; it takes normalised pixels."""

    def look(images: NDArray[np.float32]) -> Mapping[str, Array]:
        return _hooked(net, torch.from_numpy(images))

    return Network(name, look)  # type: ignore[arg-type]  # `differences` normalises for it


def differences(first: Network, other: Network, pixels: NDArray[np.uint8], threshold_db: float) -> Differences:
    """Run both on pixels [N, height, width, channels], N >= 1. Raises `InvalidInput` without a common layer."""
    tallies: dict[str, Compared] = {}
    for batch in reference.batches(pixels, _BATCH):
        one, two = first.look(batch), other.look(_input(first, other, batch))
        for id_ in (id_ for id_ in one if id_ in two):
            tallies.setdefault(id_, Compared(id_, _KEPT_BYTES)).add(one[id_], two[id_])
    if not tallies:
        raise InvalidInput("other", f"must have a layer of the same name as one of {first.name}", other.name)
    found = {id_: tally.result() for id_, tally in tallies.items()}
    assert first.graph is not None
    return Differences(
        first=first.name,
        other=other.name,
        images=len(pixels),
        threshold_db=threshold_db,
        layers=tuple(found.values()),
        drops_db=with_drops(first.graph, first.layers, found),
        first_diverging=first_diverging(first.graph, first.layers, found, threshold_db),
        only_first=tuple(layer.id for layer in first.layers if layer.id not in found),
    )


def difference_table(found: Differences) -> Table:
    """One row a layer, the conclusion below."""
    diverges = f"first diverging: {found.first_diverging}" if found.first_diverging else "no layer diverges"
    table = Table(
        "layer", "SQNR dB", "lost dB", "max abs", "relative", "cosine", "CKA",
        title=f"{found.first} against {found.other} on {found.images} pictures",
        caption=f"{diverges} (threshold {found.threshold_db:g} dB)" + _missing(found.only_first),
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found.layers:
        drop = found.drops_db.get(each.layer)
        table.add_row(
            each.layer, f"{each.sqnr_db:.1f}", "" if drop is None else f"{drop:+.1f}", f"{each.max_abs:.3g}",
            f"{each.relative:.2e}", f"{each.cosine:.6f}", f"{each.cka:.4f}",
            style="bold" if each.layer == found.first_diverging else "",
        )  # fmt: skip
    return table


def _missing(names: Sequence[str]) -> str:
    return f"; not in the other: {', '.join(names)}" if names else ""


def _input(first: Network, other: Network, batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the other one takes: pixels, or in PyTorch normalised floats [N, channels, height, width]."""
    if other.preprocess is not None:
        return batch
    assert first.preprocess is not None
    images: NDArray[np.uint8] = normalise(torch.from_numpy(batch).permute(0, 3, 1, 2), first.preprocess).numpy()
    return images


def _hooked(net: nn.Module, images: Tensor) -> Mapping[str, Array]:
    """Each module call's output; cloned in the hook, since an activation in place overwrites what went into it."""
    seen: dict[str, Array] = {}
    calls: dict[str, int] = {}

    def hook(path: str) -> Callable[[nn.Module, object, object], None]:
        def keep(_module: nn.Module, _inputs: object, output: object) -> None:
            call = calls.get(path, 0)
            calls[path] = call + 1
            if isinstance(output, Tensor):
                seen[path if call == 0 else f"{path}#{call}"] = output.clone().numpy()

        return keep

    handles = [module.register_forward_hook(hook(path)) for path, module in net.named_modules() if path]
    try:
        with torch.inference_mode():
            net.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    return seen
