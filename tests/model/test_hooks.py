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
from PIL import Image
from torch import nn

from model import net, photos, recipe
from model.export import export
from service.core.introspection import Kernels
from service.core.messages import ModelKey
from service.core.spec import Spec
from service.core.tuning import Setting
from service.engine.store import ModelStore
from service.engine.taps import TapSessions, TapSource
from service.introspect.layers import study
from tests.hooks import RELATIVE, apart, furthest, hooked

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


#: What hands its input on, and leaves no trace in an evaluating graph.
GONE = {"Identity", "Dropout"}


def pictures(spec: Spec) -> NDArray[np.uint8]:
    """Noise, and colours that run smoothly into each other, [2, height, width, channels]."""
    random = np.random.default_rng(5)
    noise = random.integers(0, 256, spec.shape, np.uint8)
    patches = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
    smooth = np.asarray(patches.resize((spec.width, spec.height), Image.Resampling.BICUBIC))
    return np.stack([noise, smooth[..., : spec.channels]])


@pytest.mark.parametrize("kernels", [Kernels.REFERENCE, Kernels.UNFUSED])
@pytest.mark.parametrize(
    ("open_", "calls"),
    [
        pytest.param(lambda: shipped("digits"), 21, id="digits"),
        pytest.param(lambda: shipped("fashion"), 43, id="fashion"),
        pytest.param(photographic, 166, id="efficientnet-lite0", marks=pytest.mark.slow),
    ],
)
def test_every_module_call_is_what_pytorch_sees(open_: Callable[[], Both], calls: int, kernels: Kernels) -> None:
    """None is missing, and each is within 1e-5 of what its hook saw.

    No value of it is further than that from the exact one, in float64, relative to the largest; or where PyTorch's own
    float32 is, no further than twice as far. ReLU6 clips the largest values away, but not their rounding.
    """
    both = open_()
    pixels = pictures(both.spec)
    seen = hooked(both.net, pixels, both.spec)
    exact = hooked(both.net, pixels, both.spec, torch.float64)
    source, sessions = TapSource("d", SETTING, lambda: both.file), TapSessions(1 << 28)
    layers = [layer for layer in study(source, both.spec, sessions).layers if layer.named_by == "module"]

    missing = seen.keys() - {layer.id for layer in layers}
    assert {type(both.net.get_submodule(path)).__name__ for path in missing} <= GONE, missing
    assert {layer.id for layer in layers} <= seen.keys()
    assert len(layers) == calls
    for start in range(0, len(layers), 64):
        part = layers[start : start + 64]
        tapped = sessions.get(source, [layer.tensor for layer in part], kernels).session.run(pixels)
        for layer in part:
            values = tapped[layer.tensor]
            assert values.shape == seen[layer.id].shape, layer.id
            assert apart(values, seen[layer.id]) <= RELATIVE, layer.id
            own = furthest(seen[layer.id], exact[layer.id])
            assert furthest(values, exact[layer.id]) <= max(RELATIVE, 2 * own), layer.id
