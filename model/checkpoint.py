"""Files of a training run, written atomically: a reader sees the old file or the new one, whole."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model import net, recipe
from model.net import Net
from model.recipe import Recipe
from service.core.errors import InvalidInput

LAST, BEST = "last.pt", "best.pt"


@dataclass(frozen=True, slots=True)
class Best:
    """The chosen weights of a run, those that validation liked most, and how they did there."""

    recipe: Recipe
    weights: Mapping[str, Tensor]
    epoch: int
    loss: float
    accuracy: float  #: on the validation split, in 0..1

    def net(self) -> Net:
        """The network with these weights, ready to evaluate."""
        built = net.build(self.recipe)
        built.load_state_dict(dict(self.weights))
        return built.eval()


def write_best(path: Path, best: Best) -> None:
    """Write the chosen weights."""
    values = {"weights": dict(best.weights), "epoch": best.epoch, "loss": best.loss, "accuracy": best.accuracy}
    write(path, {"recipe": recipe.to_json(best.recipe).decode(), **values})


def read_best(path: Path) -> Best:
    """Read a run's chosen weights. Raises `InvalidInput` when the file is not such a checkpoint."""
    values = read(path)
    try:
        return Best(
            recipe.from_json(values["recipe"]), values["weights"], values["epoch"], values["loss"], values["accuracy"]
        )
    except KeyError as error:
        raise InvalidInput(str(path), "must be the best checkpoint of a run; it lacks", error) from None


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write tensors, numbers, texts and containers of them with `torch.save`, atomically and down to the disk."""
    buffer = io.BytesIO()
    torch.save(dict(values), buffer)
    write_bytes(path, buffer.getvalue())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: written beside it, flushed to the disk, renamed, and the rename flushed too."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote; no code in the file is run. Raises `InvalidInput` when it is damaged or foreign."""
    try:
        values: dict[str, Any] = torch.load(path, weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InvalidInput(str(path), "must be a checkpoint", error) from None
    return values
