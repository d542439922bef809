"""Every module call of the networks that are shipped: what their files hold is what PyTorch's own hooks see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from model import net, photos, recipe
from model.export import export
from model.net import normalise
from service.core.introspection import Kernels
from service.core.messages import ModelKey
from service.core.spec import Spec
from service.core.tuning import Setting
from service.engine.store import ModelStore
from service.engine.taps import TapSessions, TapSource
from service.introspect.layers import study

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]
RECIPES, ZOO, MODELS = ROOT / "model" / "recipes", ROOT / "model" / "zoo", ROOT / "runs" / "models"
SETTING = Setting("cpu", "fp32", 1, 1, 1)


@dataclass(frozen=True)
class Both:
    """A file, and the PyTorch network with the same weights."""

    file: bytes
    spec: Spec
    net: nn.Module


def shipped(name: str) -> Both:
    """A model of the zoo; the network takes its weights from the file, which names them as PyTorch does."""
    stored = ModelStore(ZOO).open(ModelKey(name, 1))
    built = net.build(recipe.load(RECIPES / f"{name}.toml"))
    inside = {each.name: each for each in onnx.load_from_string(stored.model).graph.initializer}
    weights = {
        key: torch.from_numpy(numpy_helper.to_array(inside[key]).copy())
        for key in built.state_dict()
        if not key.endswith("num_batches_tracked")
    }
    missing = built.load_state_dict(weights, strict=False).missing_keys
    assert all(key.endswith("num_batches_tracked") for key in missing)
    return Both(stored.model, stored.spec, built.eval())


def photographic() -> Both:
    """EfficientNet-Lite0: as `make photos` published it here, or exported now."""
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra photos")
    built = photos.network().eval()
    if (MODELS / photos.NAME / "1").is_dir():
        stored = ModelStore(MODELS).open(ModelKey(photos.NAME, 1))
        return Both(stored.model, stored.spec, built)
    return Both(*export(built, photos.spec()), built)


def hooked(both: Both, pixels: NDArray[np.uint8]) -> dict[str, Tensor]:
    """What each module call gave, by layer id; cloned at once, since in-place activations overwrite it.

    In double precision, so that what is measured is the file's rounding and not PyTorch's as well.
    """
    seen: dict[str, Tensor] = {}
    calls: dict[str, int] = {}

    def hook(path: str) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            call = calls[path] = calls.get(path, -1) + 1
            seen[f"{path}#{call}" if call else path] = output.clone()

        return keep

    for path, module in both.net.named_modules():
        if path:
            module.register_forward_hook(hook(path))
    images = normalise(torch.tensor(pixels).permute(0, 3, 1, 2), both.spec.preprocess)
    with torch.inference_mode():
        both.net.double()(images.double())
    return seen


#: What hands its input on, and leaves no trace in an evaluating graph.
GONE = {"Identity", "Dropout"}


@pytest.mark.parametrize(
    ("open_", "calls", "limit"),
    [
        pytest.param(lambda: shipped("digits"), 21, 1e-5, id="digits"),
        pytest.param(lambda: shipped("fashion"), 43, 1e-5, id="fashion"),
        # ReLU6 clips the largest values away, but not their rounding: 9e-6 was measured on this picture.
        pytest.param(photographic, 166, 2e-5, id="efficientnet-lite0", marks=pytest.mark.slow),
    ],
)
def test_every_module_call_is_what_pytorch_sees(open_: Callable[[], Both], calls: int, limit: float) -> None:
    """None is missing, and each is within `limit` of its layer's largest value."""
    both = open_()
    pixels = np.random.default_rng(5).integers(0, 256, (1, *both.spec.shape), np.uint8)
    seen = hooked(both, pixels)
    source, sessions = TapSource("d", SETTING, lambda: both.file), TapSessions(1 << 28)
    layers = [layer for layer in study(source, both.spec, sessions).layers if layer.named_by == "module"]

    missing = seen.keys() - {layer.id for layer in layers}
    assert {type(both.net.get_submodule(path)).__name__ for path in missing} <= GONE, missing
    assert {layer.id for layer in layers} <= seen.keys()
    assert len(layers) == calls
    for start in range(0, len(layers), 64):
        part = layers[start : start + 64]
        tapped = sessions.get(source, [layer.tensor for layer in part], Kernels.REFERENCE).session.run(pixels)
        for layer in part:
            expected = seen[layer.id].numpy()
            assert tapped[layer.tensor].shape == expected.shape, layer.id
            assert np.abs(tapped[layer.tensor] - expected).max() <= limit * np.abs(expected).max(), layer.id
