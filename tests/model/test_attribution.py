"""Our class activation maps, computed by ONNX Runtime from the served file, next to grad-cam's, computed by PyTorch."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.net import normalise
from service.core.attribution import AttributionRequest, AttributionResult, Method
from service.core.introspection import Picture
from service.introspect.introspector import Introspector
from tests import glass, nets

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def library() -> Any:
    """The package `grad-cam`. It imports torchvision for boxes of detectors, which nothing here has.

    There is no wheel of torchvision for the CPU build of torch, so an empty one stands in while it is imported.
    """
    absent = importlib.util.find_spec("torchvision") is None
    names = ["torchvision", "torchvision.transforms", "torchvision.transforms.functional"] if absent else []
    for name in names:
        sys.modules[name] = stand_in = types.ModuleType(name)
        for unused in ("Compose", "Normalize", "ToTensor", "resize"):
            setattr(stand_in, unused, None)
    import pytorch_grad_cam  # noqa: PLC0415 - with its import in place

    for name in names:
        del sys.modules[name]
    return pytorch_grad_cam


@pytest.fixture(scope="module")
def inside() -> Introspector:
    return glass.introspector()


NAMES = {Method.GRAD_CAM: "GradCAM", Method.HIRES_CAM: "HiResCAM", Method.LAYER_CAM: "LayerCAM"}


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize(
    ("model", "layer"), [("residual", "conv2"), ("mobile", "depthwise"), ("sided", "dilated"), ("branches", "left")]
)
def test_maps_are_those_of_the_reference(
    library: Any, inside: Introspector, method: Method, model: str, layer: str
) -> None:
    """For each class, in the layer's own resolution, before it is scaled."""
    net, spec = nets.build(model), nets.spec(model)
    pixels = np.random.default_rng(3).integers(0, 256, (nets.HEIGHT, nets.WIDTH, 3), np.uint8)
    batch = normalise(torch.from_numpy(pixels[np.newaxis]).permute(0, 3, 1, 2), spec.preprocess)
    with getattr(library, NAMES[method])(net, [net.get_submodule(layer)]) as reference:
        for target in range(4):
            wanted = class_map(reference, batch, library.utils.model_targets.ClassifierOutputTarget(target))

            request = AttributionRequest(model, 0, Picture(glass.picture()), method, layer=layer, target=target)
            *_, result = inside.attribution(request)

            assert isinstance(result, AttributionResult)
            assert result.values.shape == wanted.shape
            assert np.abs(result.values - wanted).max() <= 1e-4 * max(wanted.max(), 1e-3)


def class_map(reference: Any, batch: torch.Tensor, target: object) -> NDArray[np.float32]:
    """The map [height, width] as the library has it just before it stretches it to the picture."""
    kept: list[NDArray[np.float32]] = []
    make = type(reference).get_cam_image

    def keep(*asked: object) -> NDArray[np.float32]:
        kept.append(make(reference, *asked))
        return kept[-1]

    reference.get_cam_image = keep
    reference(batch, [target])
    found: NDArray[np.float32] = np.maximum(kept[0][0], 0)
    return found
