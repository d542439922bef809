from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.core.errors import NoSuchModel, Refused
from service.core.messages import ModelKey
from service.engine.store import BrokenModel, ModelStore
from tests.integration.engine.conftest import SPEC, Publish, network, pictures, seal

KEY = ModelKey("shades", 1)


def test_published_versions_are_listed_in_order(publish: Publish, store: ModelStore) -> None:
    """Versions are numbers, so 10 comes after 9."""
    for version in (10, 9, 1):
        publish(version=version)
    publish(name="Other_model-2.0", version=3)

    assert store.versions() == {"Other_model-2.0": (3,), "shades": (1, 9, 10)}


@pytest.mark.parametrize(
    "path", ["shades/.tmp-2", "shades/0", "shades/02", "shades/latest", ".hidden/1", "a b/1", "-x/1", "shades/-1"]
)
def test_what_is_not_a_published_version_is_not_looked_at(
    publish: Publish, store: ModelStore, root: Path, path: str
) -> None:
    """Temporary, hidden and oddly named folders are not models, whatever is in them."""
    folder = publish()
    (root / path).mkdir(parents=True)
    (root / path / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())

    assert store.versions() == {"shades": (1,)}


def test_a_folder_without_manifest_is_not_yet_published(store: ModelStore, root: Path) -> None:
    """A version that is being written is not offered."""
    (root / "shades" / "1").mkdir(parents=True)

    assert store.versions() == {}
    with pytest.raises(NoSuchModel, match="shades:1"):
        store.open(KEY)


def test_a_missing_models_folder_is_named(tmp_path: Path) -> None:
    """The operator is told which folder is not there."""
    with pytest.raises(Refused, match=f"models folder {tmp_path}/nowhere cannot be read: No such file"):
        ModelStore(tmp_path / "nowhere").versions()


@pytest.mark.parametrize("name", ["../models/shades", "shades/../shades", "/etc", "", ".", ".."])
def test_a_name_cannot_leave_the_models_folder(publish: Publish, store: ModelStore, name: str) -> None:
    """Names come from requests: whatever is no name is no model."""
    publish()

    with pytest.raises(NoSuchModel):
        store.open(ModelKey(name, 1))
    with pytest.raises(NoSuchModel):
        store.fingerprint(ModelKey(name, 1))


def test_an_opened_model_is_what_was_published(publish: Publish, store: ModelStore) -> None:
    """Spec, bytes, digest and samples are those in the folder."""
    folder = publish()

    stored = store.open(KEY)

    assert stored.spec == SPEC
    assert stored.folder == folder
    assert stored.model == (folder / "model.onnx").read_bytes()
    assert stored.digest in (folder / "manifest.json").read_text()
    assert stored.samples().pixels.shape == (24, 8, 8, 1)
    assert stored.samples().logits.shape == (24, 3)


def _flip_a_bit(folder: Path) -> None:
    path = folder / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _folder_in_place(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()


def _without_samples(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": {"model.onnx": "00"}}')


def _climbing(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": {"model.onnx": "0", "samples.npz": "0", "../x": "0"}}')


BREAKAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "flipped bit": (_flip_a_bit, "model.onnx", "SHA-256 is .*, but the manifest says "),
    "truncated samples": (
        lambda folder: os.truncate(folder / "samples.npz", 100),
        "samples.npz",
        "SHA-256 is .*, but the manifest says ",
    ),
    "lost model": (lambda folder: (folder / "model.onnx").unlink(), "model.onnx", "is missing"),
    "folder in place of a file": (
        _folder_in_place,
        "model.onnx",
        "cannot be read: Is a directory",
    ),
    "no manifest but noise": (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json", "EOF"),
    "manifest without samples": (_without_samples, "manifest.json", "does not list samples.npz"),
    "manifest that climbs": (_climbing, "manifest.json", "lists '../x', which is not a file name"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_damaged_folder_is_refused_naming_file_and_problem(
    publish: Publish, store: ModelStore, breakage: str
) -> None:
    """Nothing is served that is not to the bit what was published."""
    damage, file, problem = BREAKAGES[breakage]
    damage(publish())

    with pytest.raises(BrokenModel, match=f"^shades:1: {file}: .*{problem}") as caught:
        store.open(KEY)

    assert caught.value.file == file


def _renamed_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "pixels"
    model.graph.node[0].input[0] = "pixels"


def _float_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _planes_first(model: onnx.ModelProto) -> None:
    del model.graph.node[0]
    model.graph.node[0].input[0] = "image"
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, 8, 8]))


def _four_classes(model: onnx.ModelProto) -> None:
    spec = model.metadata_props[0].value
    helper.set_model_props(model, {"vitrine.spec": spec.replace('"edge"', '"edge","fourth"')})


def _second_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["N", 6, 1, 1]))


MISFITS: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "no spec": (lambda model: helper.set_model_props(model, {"author": "me"}), "metadata: .*'vitrine.spec'.*author"),
    "spec is noise": (lambda model: helper.set_model_props(model, {"vitrine.spec": "{}"}), "spec.name: Field required"),
    "input's name": (_renamed_input, "input.name: must be 'image', got 'pixels'"),
    "input's type": (_float_input, r"input.type: must be tensor\(uint8\), got tensor\(float\)"),
    "fixed batch": (_fixed_batch, r"input.shape: must be \[N, 8, 8, 1\] with a free batch axis N, got \[1, 8, 8, 1\]"),
    "planes first": (_planes_first, r"input.shape: must be \[N, 8, 8, 1\].*got \['N', 1, 8, 8\]"),
    "labels": (_four_classes, r"output.shape: must be \[N, 4\].*got \['N', 3\]"),
    "two outputs": (_second_output, r"outputs: the graph must have exactly one, 'logits', got \['logits', 'pooled'\]"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_graph_that_does_not_keep_the_spec_is_refused(publish: Publish, store: ModelStore, misfit: str) -> None:
    """The message says which part of the graph contradicts the spec, and how."""
    change, problem = MISFITS[misfit]
    folder = publish()
    model = network()
    change(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    seal(folder)

    with pytest.raises(BrokenModel, match=f"^shades:1: model.onnx: {problem}"):
        store.open(KEY)


@pytest.mark.parametrize("data", [b"", b"this is no model", b"\x08\x09"])
def test_a_file_that_is_not_onnx_is_refused(publish: Publish, store: ModelStore, data: bytes) -> None:
    """Published noise is told from a model."""
    folder = publish()
    (folder / "model.onnx").write_bytes(data)
    seal(folder)

    with pytest.raises(BrokenModel, match=r"model\.onnx: file: must be an ONNX model"):
        store.open(KEY)


def test_samples_that_do_not_fit_the_spec_are_refused(publish: Publish, store: ModelStore) -> None:
    """Agreement cannot be measured on pictures of another size."""
    publish(samples={"pixels": np.zeros((2, 9, 8, 1), np.uint8), "logits": np.zeros((2, 3), np.float32)})

    with pytest.raises(
        BrokenModel, match=r"samples.npz: pixels must be uint8 \[N, 8, 8, 1\].*got uint8 \[2, 9, 8, 1\]"
    ):
        store.open(KEY).samples()


def test_samples_without_logits_are_refused(publish: Publish, store: ModelStore) -> None:
    """The array that is missing is named."""
    publish(samples={"pixels": pictures(2)})

    with pytest.raises(BrokenModel, match=r"samples.npz: cannot be read: .*logits"):
        store.open(KEY).samples()


def test_a_fingerprint_tells_a_replaced_a_lost_and_a_repaired_file(publish: Publish, store: ModelStore) -> None:
    """A watcher sees each change without reading the files."""
    folder = publish()
    original = store.fingerprint(KEY)
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").unlink()
    lost = store.fingerprint(KEY)
    (folder / "model.new").write_bytes(data)
    (folder / "model.new").replace(folder / "model.onnx")
    repaired = store.fingerprint(KEY)

    assert len({original, lost, repaired}) == 3
    assert store.fingerprint(KEY) == repaired


def test_a_tuning_beside_the_model_does_not_change_its_fingerprint(publish: Publish, store: ModelStore) -> None:
    """What the server writes there itself is no reason to load again."""
    folder = publish()
    before = store.fingerprint(KEY)
    (folder / ".tuning").mkdir()
    (folder / ".tuning" / "x.json").write_text("{}")

    assert store.fingerprint(KEY) == before
    assert store.versions() == {"shades": (1,)}
