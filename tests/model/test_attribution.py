"""Our class activation maps, computed by ONNX Runtime from the served file, next to grad-cam's, computed by PyTorch."""

from __future__ import annotations

import importlib.util
import sys
import types
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from model import attribution, published
from model.cli import app
from model.net import normalise
from service.core.attribution import AttributionRequest, AttributionResult, Method
from service.core.errors import InvalidInput
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


def test_one_file_gives_the_maps_to_any_runtime(inside: Introspector, tmp_path: Path) -> None:
    """ONNX Runtime alone, for two pictures with different questions, gives what the server says of each."""
    file, spec = nets.exported("residual")
    pixels = np.random.default_rng(3).integers(0, 256, (nets.HEIGHT, nets.WIDTH, 3), np.uint8)

    made, chosen = attribution.attribution(file, published.layers(file, spec), "conv1")

    (tmp_path / "attribution.onnx").write_bytes(made)
    session = onnxruntime.InferenceSession(tmp_path / "attribution.onnx", providers=["CPUExecutionProvider"])
    picture, weights = attribution.INPUTS
    asked = {picture: np.stack([pixels, pixels]), weights: np.eye(4, dtype=np.float32)[[2, 0]]}
    found = dict(zip(attribution.MAPS, session.run(list(attribution.MAPS), asked), strict=True))
    assert chosen.id == "conv1"
    for method in NAMES:
        for row, target in enumerate((2, 0)):
            request = AttributionRequest("residual", 0, Picture(glass.picture()), method, layer="conv1", target=target)
            *_, result = inside.attribution(request)
            assert isinstance(result, AttributionResult)
            np.testing.assert_allclose(found[method.value][row], result.values, rtol=1e-4, atol=1e-6)


def test_the_command_writes_that_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a shipped model, with the layer it chose and the digest of what it wrote."""
    target = tmp_path / "attribution.onnx"

    app(["attribution", "model/zoo/digits/1", str(target)], standalone_mode=False)

    told = "".join(capsys.readouterr().out.split())
    assert "gradcam,hirescam,layercamatdown3_relu[96,4,4]" in told
    assert f"sha256{sha256(target.read_bytes()).hexdigest()}" in told


def test_a_layer_without_maps_is_refused() -> None:
    """Evidence has places."""
    file, spec = nets.exported("residual")

    with pytest.raises(InvalidInput, match=r"layer: one whose output is \[channels, height, width\]"):
        attribution.attribution(file, published.layers(file, spec), "fc")
