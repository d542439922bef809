"""The state of a training run between two steps, and its checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from model import checkpoint
from model import recipe as recipes
from model.recipe import Recipe
from service.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the images of an epoch so far."""

    loss: float = 0.0
    correct: float = 0.0
    images: int = 0

    def plus(self, loss: float, correct: float, images: int) -> Tally:
        """With one more batch, its loss summed over its images."""
        return Tally(self.loss + loss, self.correct + correct, self.images + images)

    @property
    def mean_loss(self) -> float:
        """Per image."""
        return self.loss / max(self.images, 1)

    @property
    def accuracy(self) -> float:
        """In 0..1."""
        return self.correct / max(self.images, 1)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run has come: `step` steps are done, in `seconds` of training without the interruptions."""

    step: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    best_accuracy: float = -1.0
    best_loss: float = math.inf


@dataclass(frozen=True, slots=True)
class Parts:
    """What a step changes. `average` is None when the recipe wants no moving average."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None

    @property
    def published(self) -> nn.Module:
        """The weights that are evaluated and kept as best."""
        return self.net if self.average is None else self.average.module


def save(path: Path, recipe: Recipe, parts: Parts, position: Position) -> None:
    """Write all that the next step depends on."""
    checkpoint.write(
        path,
        {
            "recipe": recipes.to_json(recipe).decode(),
            "net": parts.net.state_dict(),
            "optimizer": parts.optimizer.state_dict(),
            "average": None if parts.average is None else parts.average.state_dict(),
            "position": asdict(position),
        },
    )


def restore(path: Path, recipe: Recipe, parts: Parts) -> Position:
    """Load a checkpoint into `parts`. Raises `InvalidInput` when it is damaged or another recipe's."""
    values = checkpoint.read(path)
    trained = recipes.from_json(values["recipe"])
    if trained != recipe:
        raise InvalidInput(str(path), f"must be of the recipe with digest {recipe.digest()}", trained.digest())
    parts.net.load_state_dict(values["net"])
    parts.optimizer.load_state_dict(values["optimizer"])
    if parts.average is not None:
        parts.average.load_state_dict(values["average"])
    position = values["position"]
    return Position(**{**position, "tally": Tally(**position["tally"])})
