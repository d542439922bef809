"""Stories about what is stored of a model's layers, so that drift can be seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from model.cli import main
from service.core.drift import QUANTILES
from service.core.introspection import Kernels
from service.core.manifest import MODEL_FILE, PROFILE_FILE
from service.core.maps import as_maps
from service.core.messages import ModelKey
from service.core.tuning import Setting
from service.engine.store import BrokenModel, ModelStore
from service.engine.taps import TapSessions, TapSource

pytestmark = pytest.mark.train

ZOO = Path(__file__).parents[2] / "model" / "zoo"
GUIDE = ModelKey("guide", 1)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """`guide`, without a profile and without mention of one."""
    shutil.copytree(ZOO / "guide" / "1", tmp_path / "guide" / "1", ignore=shutil.ignore_patterns(".tuning"))
    (tmp_path / "guide" / "1" / PROFILE_FILE).unlink()
    manifest = tmp_path / "guide" / "1" / "manifest.json"
    lines = manifest.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if PROFILE_FILE not in line]
    manifest.write_text("\n".join(kept).replace('",\n  }', '"\n  }'), encoding="utf-8")
    return tmp_path


def test_a_version_without_a_profile_is_whole(models: Path) -> None:
    """Older ones have none; nothing else is missing."""
    assert ModelStore(models).open(GUIDE).profile() is None


def test_a_profile_is_added_and_the_model_stays(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a byte of it changes; the manifest vouches for the new file, and the store reads it."""
    before = (models / "guide" / "1" / MODEL_FILE).read_bytes()
    monkeypatch.setattr("sys.argv", ["vitrine-model", "profile", str(models / "guide" / "1")])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
    stored = ModelStore(models).open(GUIDE)
    written = stored.profile()
    assert stored.model == before
    assert written is not None
    assert written.images == 64
    assert {id_: row.shape for id_, row in written.quantiles.items()} == {
        "conv": (QUANTILES, 1),
        "flatten": (QUANTILES, 4),
    }


@pytest.mark.parametrize("name", ["digits", "fashion", "guide"])
def test_the_shipped_profiles_are_those_of_the_shipped_samples(name: str) -> None:
    """The lowest, the middle and the highest mean of each channel of a layer, computed again."""
    stored = ModelStore(ZOO).open(ModelKey(name, 1))
    kept = stored.profile()
    assert kept is not None
    layer = next(layer for layer in stored.spec.layers if layer.id in kept.quantiles)

    source = TapSource(stored.digest, Setting("cpu", "fp32", 1, 1, 1), lambda: stored.model)
    session = TapSessions(1 << 26).get(source, [layer.tensor], Kernels.REFERENCE).session
    pixels = stored.samples().pixels
    means = np.stack([as_maps(each).mean(axis=(1, 2)) for each in session.run(pixels)[layer.tensor]])
    expected = np.quantile(means, [0, 0.5, 1], axis=0)
    np.testing.assert_allclose(kept.quantiles[layer.id][[0, 16, 32]], expected, rtol=1e-4, atol=1e-6)
    assert kept.images == len(pixels)


def test_a_damaged_profile_is_a_broken_version(models: Path) -> None:
    """Where no manifest vouches for it, reading it says what is wrong."""
    (models / "guide" / "1" / PROFILE_FILE).write_bytes(b"no archive")

    with pytest.raises(BrokenModel, match=r"guide:1: profile.npz: cannot be read"):
        ModelStore(models).open(GUIDE).profile()
