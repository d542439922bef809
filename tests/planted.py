"""A network whose evidence is known: red squares mean one class, blue ones the other, nothing else means anything."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.export import export
from service.core.geometry import Box
from service.core.spec import Spec

SIDE, SQUARE, EDGE = 48, 10, 4
SPEC = Spec("planted", 3, SIDE, SIDE, ("red", "blue"))


class Planted(nn.Module):
    """How red and how blue each place is, pooled, then one dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = nn.Conv2d(3, 2, 3, padding=1)
        self.act = nn.ReLU()
        self.pool = nn.AvgPool2d(4)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2, 2)
        with torch.no_grad():
            self.colour.weight[:] = torch.tensor([[1.0, -0.5, -0.5], [-0.5, -0.5, 1.0]])[:, :, None, None] / 9
            nn.init.constant_(self.colour.bias, -0.2)  # type: ignore[arg-type]  # it has one
            self.fc.weight[:] = torch.tensor([[60.0, -30.0], [-30.0, 60.0]])
            self.fc.bias[:] = torch.tensor([0.25, -0.5])

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, 48, 48] -> [N, 2]."""
        pooled: Tensor = self.fc(torch.flatten(self.mean(self.pool(self.act(self.colour(images)))), 1))
        return pooled


def exported() -> tuple[bytes, Spec]:
    """The ONNX file, and the spec inside."""
    return export(Planted().eval(), SPEC)


def scene(seed: int) -> tuple[NDArray[np.uint8], Box, Box]:
    """A picture of gray noise with a red and a blue square somewhere, and where."""
    random = np.random.default_rng(seed)
    pixels = np.repeat(random.integers(70, 130, (SIDE, SIDE, 1)), 3, axis=2).astype(np.uint8)
    rows, columns = random.integers(EDGE, SIDE - SQUARE - EDGE, 2), random.permutation([0, 1])
    boxes = []
    for half, row, colour in zip(columns, rows, ((230, 20, 20), (20, 20, 230)), strict=True):
        # One in each half, so that they do not meet.
        left = int(half) * SIDE // 2 + int(random.integers(EDGE, SIDE // 2 - SQUARE - EDGE))
        boxes.append(Box(int(row), left, int(row) + SQUARE, left + SQUARE))
        pixels[row : row + SQUARE, left : left + SQUARE] = colour
    return pixels, boxes[0], boxes[1]
