"""The images of some gigabytes: for training, and for NVIDIA's GPUs. `make images` runs these."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.images import built
from tests.e2e.stack import DIGITS, docker

pytestmark = pytest.mark.heavy

RECIPE = """
name = "tiny"
seed = 1
input = {channels = 1, height = 28, width = 28}
preprocess = {mean = [0.1307], std = [0.3081]}
data = {type = "folder", path = "tiny"}
head = {type = "softmax", labels = ["0", "1"]}
layers = [
    {type = "conv", name = "stem", filters = 4, kernel = 3, padding = 1},
    {type = "relu", name = "stem_relu"},
    {type = "global_avg_pool", name = "pool"},
    {type = "flatten", name = "flatten"},
    {type = "dense", name = "head", units = 2},
]

[training]
epochs = 2
batch = 4
optimizer = {type = "sgd", rate = 0.05, momentum = 0.9}
"""
WORK = """
vitrine-model describe tiny.toml
vitrine-model train tiny.toml
vitrine-model publish runs/tiny --models models
vitrine-model quantize tiny:1 --models models
"""
PACKAGES = "/opt/vitrine/lib/python3.11/site-packages"


@pytest.fixture
def trainer(engine: None) -> Iterator[str]:  # noqa: ARG001 - it is to be there
    with built("docker", "build", target="trainer", runtime="trainer") as name:
        yield name


@pytest.fixture
def gpu(engine: None) -> Iterator[str]:  # noqa: ARG001 - it is to be there
    with built("docker", "build", runtime="gpu") as name:
        yield name


def test_the_trainer_trains_publishes_and_quantises(trainer: str, tmp_path: Path) -> None:
    """Without network or rights, in a file system of which it may write to /work only."""
    for split in ("train", "val", "test"):
        for label in "01":
            folder = tmp_path / "data" / "tiny" / split / label
            folder.mkdir(parents=True)
            for copy in range(4):
                shutil.copy(DIGITS / f"{label}.png", folder / f"{copy}.png")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o777)

    confined = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108 - inside
    mount = ("--volume", f"{tmp_path}:/work")
    docker("run", "--rm", *confined, *mount, "--entrypoint", "sh", trainer, "-ec", WORK, timeout_s=300)

    assert sorted(path.name for path in (tmp_path / "models" / "tiny").iterdir()) == ["1", "2"]


def test_the_gpu_image_lacks_the_driver_only(gpu: str) -> None:
    """ONNX Runtime's CUDA provider finds every library but that which comes with a GPU."""
    asked = f"ldd {PACKAGES}/onnxruntime/capi/libonnxruntime_providers_cuda.so | grep 'not found' || true"
    missing = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", gpu, "-c", asked)

    assert missing.split() in ([], ["libcuda.so.1", "=>", "not", "found"])
