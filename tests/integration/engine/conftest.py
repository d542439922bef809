from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.core import manifest
from service.core.messages import ModelKey
from service.core.spec import METADATA_KEY, Spec, to_json
from service.engine.policy import EnginePolicy
from service.engine.store import ModelStore, StoredModel

SPEC = Spec("shades", 1, 8, 8, ("dark", "light", "edge"))

#: `publish(name=, version=, model=, spec=, samples=)` writes a version into the models folder and gives its folder.
Publish = Callable[..., Path]


def network(spec: Spec = SPEC, seed: int = 0) -> onnx.ModelProto:
    """Convolution, ReLU, pooling and a dense layer with fixed random weights, on uint8 NHWC pixels."""
    random = np.random.default_rng(seed)
    weights = {
        "kernel": random.normal(size=(6, spec.channels, 3, 3)) / 3,
        "dense": random.normal(size=(6, len(spec.labels))),
        "scale": np.array(1 / 64),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "kernel"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["logits"]),
    ]
    return assemble(nodes, weights, spec)


def assemble(
    nodes: list[onnx.NodeProto], weights: Mapping[str, NDArray[np.generic]], spec: Spec, out: str = "N"
) -> onnx.ModelProto:
    """A model with the face that a spec promises."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", *spec.shape])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [out, len(spec.labels)])
    tensors = [
        numpy_helper.from_array(values.astype(np.float32) if values.dtype == np.float64 else values, name)
        for name, values in weights.items()
    ]
    graph = helper.make_graph(nodes, "net", [image], [logits], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: to_json(spec)})
    return model


def pictures(count: int, spec: Spec = SPEC, seed: int = 1) -> NDArray[np.uint8]:
    """Random pixels [count, height, width, channels] of different brightness."""
    random = np.random.default_rng(seed)
    brightness = random.integers(1, 256, size=(count, 1, 1, 1))
    return (random.random((count, *spec.shape)) * brightness).astype(np.uint8)


def reference(model: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a plain CPU session answers."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": pixels})
    return np.asarray(logits, np.float32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def publish(root: Path) -> Publish:
    def write(
        name: str = "shades",
        version: int = 1,
        model: onnx.ModelProto | None = None,
        samples: dict[str, NDArray[np.generic]] | None = None,
    ) -> Path:
        folder = root / name / str(version)
        folder.mkdir(parents=True)
        data = (model or network()).SerializeToString()
        (folder / "model.onnx").write_bytes(data)
        pixels = pictures(24)
        arrays = samples if samples is not None else {"pixels": pixels, "logits": reference(data, pixels)}
        np.savez(folder / "samples.npz", **arrays)
        seal(folder)
        return folder

    return write


def seal(folder: Path) -> None:
    """Write the manifest of what is in the folder."""
    names = ("model.onnx", "samples.npz")
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "manifest.json").write_bytes(manifest.to_json(manifest.Manifest(digests)))


@pytest.fixture
def store(root: Path) -> ModelStore:
    return ModelStore(root)


@pytest.fixture
def stored(publish: Publish, store: ModelStore) -> StoredModel:
    publish()
    return store.open(ModelKey("shades", 1))


@pytest.fixture
def quick(tmp_path: Path) -> Callable[..., EnginePolicy]:
    """A policy that caches apart and measures for a moment only; a busy machine may need all of the budget."""

    def policy(**wanted: object) -> EnginePolicy:
        return EnginePolicy(**{"tuning_budget_s": 10.0, "cache_dir": tmp_path / "cache", **wanted})  # type: ignore[arg-type]

    return policy


@pytest.fixture
def openvino() -> None:
    """Skip where this installation has no OpenVINO."""
    if "OpenVINOExecutionProvider" not in ort.get_available_providers():
        pytest.skip("the installed ONNX Runtime has no OpenVINO provider")
