"""What PyTorch's own forward hooks see, which is what layers of a served file are held to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.net import normalise
from service.core.spec import Spec

#: How far a layer may be from PyTorch, as the norm of the difference relative to the norm of its values.
RELATIVE = 1e-5


def hooked(
    net: nn.Module, pixels: NDArray[np.uint8], spec: Spec, dtype: torch.dtype = torch.float32
) -> dict[str, NDArray[np.float64]]:
    """What each module call gave for pictures [N, height, width, channels], computed in `dtype`, by layer id.

    Cloned at once, since in-place activations overwrite what a hook was given.
    """
    seen: dict[str, Tensor] = {}
    calls: dict[str, int] = {}

    def hook(path: str) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            call = calls[path] = calls.get(path, -1) + 1
            seen[f"{path}#{call}" if call else path] = output.clone()

        return keep

    handles = [module.register_forward_hook(hook(path)) for path, module in net.named_modules() if path]
    images = normalise(torch.tensor(pixels).permute(0, 3, 1, 2), spec.preprocess)
    with torch.inference_mode():
        net.to(dtype)(images.to(dtype))
    for handle in handles:
        handle.remove()
    return {id_: output.double().numpy() for id_, output in seen.items()}


def apart(values: NDArray[np.floating], expected: NDArray[np.float64]) -> float:
    """The norm of the difference relative to the norm of what was expected."""
    return float(np.linalg.norm(values - expected) / np.linalg.norm(expected))


def furthest(values: NDArray[np.floating], expected: NDArray[np.float64]) -> float:
    """The largest difference of one value relative to the largest value."""
    return float(np.abs(values - expected).max() / np.abs(expected).max())
