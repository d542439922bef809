from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from service.core.errors import Refused
from service.core.messages import ModelKey
from service.core.tuning import Setting
from service.engine import providers
from service.engine.loading import load
from service.engine.policy import EnginePolicy
from service.engine.store import ModelStore, StoredModel
from tests.integration.engine.conftest import Publish, network, pictures, reference

Quick = Callable[..., EnginePolicy]


def test_a_loaded_model_answers_as_the_plain_session_does(stored: StoredModel, quick: Quick) -> None:
    """Whatever was tuned, exact means the published answers."""
    engine = load(stored, quick(precision="exact"))

    pixels = pictures(20)
    assert np.abs(engine.run(pixels) - reference(stored.model, pixels)).max() < 1e-4
    assert (engine.spec, engine.digest, engine.warnings) == (stored.spec, stored.digest, ())
    assert engine.tuning.chosen.precision == "fp32"
    assert {found.setting.precision for found in engine.tuning.measurements} == {"fp32"}


def test_the_table_holds_what_was_measured(stored: StoredModel, quick: Quick) -> None:
    """The chosen setting is in it, with a rate, a latency and full agreement."""
    tuning = load(stored, quick(providers=("cpu",))).tuning

    (chosen,) = (found for found in tuning.measurements if found.setting == tuning.chosen)
    assert chosen.images_per_second > 0
    assert chosen.latency_ms > 0
    assert (chosen.top1_agreement, chosen.rejected) == (1.0, "")
    assert {1, 2} <= {found.setting.batch for found in tuning.measurements}


def test_the_second_load_remembers(stored: StoredModel, quick: Quick) -> None:
    """Nothing is measured twice on one host: setting and table come back as they were."""
    policy = quick(providers=("cpu",), lanes=1, intra_op_threads=1, batch=2)
    first = load(stored, policy).tuning
    second = load(stored, policy).tuning

    assert (first.cached, second.cached) == (False, True)
    assert (second.chosen, second.measurements) == (first.chosen, first.measurements)


def test_a_fixed_setting_is_taken_as_it_is(stored: StoredModel, quick: Quick) -> None:
    """What the operator fixed is not searched, only measured and vetted."""
    tuning = load(stored, quick(providers=("cpu",), lanes=3, intra_op_threads=1, batch=5)).tuning

    assert tuning.chosen == Setting("cpu", "fp32", 3, 1, 5)
    assert len(tuning.measurements) == 1


@pytest.mark.parametrize("damage", ["", "{", '{"chosen": 1}', "[]", '{"chosen": {}, "measurements": []}'])
def test_a_damaged_cache_is_measured_again_with_a_warning(stored: StoredModel, quick: Quick, damage: str) -> None:
    """A cache may be lost at any time; it never stops a load."""
    policy = quick(providers=("cpu",), lanes=1, intra_op_threads=1, batch=1)
    load(stored, policy)
    (file,) = (policy.cache_dir or Path()).iterdir()
    file.write_text(damage)

    again = load(stored, policy)

    (warning,) = again.warnings
    assert warning.startswith(f"{file}: not a tuning that can be used, measuring again: ")
    assert not again.tuning.cached
    assert load(stored, policy).tuning.cached


def test_without_a_cache_folder_the_tuning_is_kept_beside_the_model(stored: StoredModel) -> None:
    """The default place travels with the models folder."""
    policy = EnginePolicy(providers=("cpu",), lanes=1, intra_op_threads=1, batch=1, tuning_budget_s=0.5)
    load(stored, policy)

    (file,) = (stored.folder / ".tuning").iterdir()
    assert json.loads(file.read_text())["chosen"]["provider"] == "cpu"
    assert load(stored, policy).tuning.cached


def test_a_provider_that_is_not_installed_is_an_error_that_says_what_is(stored: StoredModel, quick: Quick) -> None:
    """A named provider is never replaced by a slower one."""
    with pytest.raises(Refused, match=r"provider 'cuda' is not in the installed ONNX Runtime; available: .*cpu"):
        load(stored, quick(providers=("cuda", "cpu")))


@pytest.fixture
def broken_openvino(openvino: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - skips without it
    """OpenVINO is installed, but every session of it fails to start."""
    monkeypatch.setattr(providers, "_openvino", lambda _: {"NO_SUCH_OPTION": "1"})


@pytest.mark.usefixtures("broken_openvino")
def test_auto_falls_back_and_says_why(stored: StoredModel, quick: Quick) -> None:
    """The server runs on the next provider, and the tuning holds the reason."""
    tuning = load(stored, quick()).tuning

    assert tuning.chosen.provider == "cpu"
    assert tuning.fallback.startswith("provider openvino fp32 does not start: ")
    assert "does not start" in next(m.rejected for m in tuning.measurements if m.setting.provider == "openvino")


@pytest.mark.usefixtures("broken_openvino")
def test_a_named_provider_that_does_not_start_is_an_error(stored: StoredModel, quick: Quick) -> None:
    """Even with another one named beside it."""
    with pytest.raises(Refused, match=r"^provider openvino fp32 does not start: .*; openvino was named, so no other"):
        load(stored, quick(providers=("openvino", "cpu")))


@pytest.mark.usefixtures("openvino")
def test_providers_and_precisions_race(stored: StoredModel, quick: Quick) -> None:
    """All that is installed is in the table; what is not chosen has a rate or a reason."""
    tuning = load(stored, quick()).tuning

    labels = {found.setting.label for found in tuning.measurements}
    assert labels == {"cpu fp32", "openvino fp32", "openvino bf16", "openvino fp16"}
    assert all(found.images_per_second > 0 or found.rejected for found in tuning.measurements)
    assert tuning.fallback == ""


def test_a_provider_whose_answers_differ_is_not_used(publish: Publish, store: ModelStore, quick: Quick) -> None:
    """When the stored logits are not what this machine computes, nothing is served."""
    pixels = pictures(16)
    truth = reference(network().SerializeToString(), pixels)
    publish(samples={"pixels": pixels, "logits": truth + np.float32(0.1) * np.ptp(truth)})

    with pytest.raises(Refused, match="no allowed way to run the model works: cpu fp32: logits differ by up to"):
        load(store.open(ModelKey("shades", 1)), quick(providers=("cpu",)))


def test_a_precision_that_no_provider_has_is_refused(stored: StoredModel, quick: Quick) -> None:
    """The CPU provider computes in fp32 only."""
    with pytest.raises(Refused, match="no provider has the wanted precision"):
        load(stored, quick(providers=("cpu",), precision="bf16"))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="one core leaves only one layout, which is measured")
def test_a_hurried_tuning_is_used_but_not_kept(stored: StoredModel, quick: Quick) -> None:
    """A machine too busy to measure gets a working model now and another chance at the next load."""
    policy = quick(providers=("cpu",), tuning_budget_s=1e-6)

    engine = load(stored, policy)

    assert engine.warnings == (
        "the tuning budget was too short to measure everything; it is not kept and repeated at the next load",
    )
    assert engine.run(pictures(1)).shape == (1, 3)
    assert not load(stored, policy).tuning.cached


def test_loading_prints_nothing(stored: StoredModel) -> None:
    """ONNX Runtime's and OpenVINO's own chatter stays off the terminal, whatever is installed."""
    program = (
        "import sys; from pathlib import Path; from service.core.messages import ModelKey;"
        "from service.engine.loading import EnginePolicy, load; from service.engine.store import ModelStore;"
        "load(ModelStore(Path(sys.argv[1])).open(ModelKey('shades', 1)), EnginePolicy(tuning_budget_s=1.0))"
    )
    root = stored.folder.parent.parent
    done = subprocess.run([sys.executable, "-c", program, root], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "")


def test_every_build_has_the_reference_provider() -> None:
    """Whatever build is installed, CPU fp32 is there to fall back to."""
    assert "cpu" in providers.choose("auto", ort.get_available_providers()).names
