"""The gate before a file is written: the ONNX file must say what the network said, on real images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model import reference
from model.net import normalise
from service.core.errors import Refused
from service.core.spec import Spec, Task

LIMIT = 1e-4  #: largest absolute difference of any logit


@dataclass(frozen=True, slots=True)
class Parity:
    """PyTorch against ONNX Runtime on `images` images; `same_decisions` of them lead to the same answer."""

    images: int
    max_abs_logit_difference: float
    same_decisions: int

    @property
    def holds(self) -> bool:
        """Whether the file may be published."""
        return self.max_abs_logit_difference <= LIMIT and self.same_decisions == self.images


def check(net: nn.Module, model: bytes, spec: Spec, pixels: NDArray[np.uint8]) -> Parity:
    """Compare `net`, normalised as in training, with the file `model` on pixels [N, height, width, channels].

    Raises `Refused` with the numbers when they differ by more than `LIMIT` or in one decision.
    """
    want, found = torch_logits(net, spec, pixels), reference.logits(model, pixels)
    same = np.all(decisions(want, spec.task) == decisions(found, spec.task), axis=1)
    # A NaN on either side is a difference, and `max` passes it on.
    parity = Parity(len(pixels), float(np.abs(want - found).max()), int(same.sum()))
    if not parity.holds:
        raise Refused(
            f"{spec.name}: the ONNX file differs from the network on {parity.images} images: max abs logit difference "
            f"{parity.max_abs_logit_difference:.3g} (limit {LIMIT:g}), same top-1 on {parity.same_decisions}; "
            "no file was written"
        )
    return parity


def torch_logits(net: nn.Module, spec: Spec, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the PyTorch network makes of pixels [N, height, width, channels]: float32 [N, classes]."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(normalise(torch.from_numpy(batch).permute(0, 3, 1, 2), spec.preprocess)).numpy()
            for batch in reference.batches(pixels)
        ]
    return np.concatenate(parts)


def decisions(logits: NDArray[np.float32], task: Task) -> NDArray[np.int64]:
    """What is decided for each item: [N, 1] the best class, or [N, labels] of 0 and 1 with sigmoid heads."""
    if task == "multiclass":
        best: NDArray[np.int64] = logits.argmax(axis=1, keepdims=True)
        return best
    return (logits > 0).astype(np.int64)
