from __future__ import annotations

import gc
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import helper

from service.core.errors import EngineFailed, Refused
from service.core.messages import ModelKey
from service.core.tuning import Setting, Tuning
from service.engine import session
from service.engine.session import OnnxEngine, open_session, open_sessions
from service.engine.store import ModelStore, StoredModel
from tests.integration.engine.conftest import SPEC, Publish, assemble, pictures, reference

CPU = Setting("cpu", "fp32", lanes=2, intra_op_threads=1, batch=4)
OPENVINO = Setting("openvino", "fp32", lanes=2, intra_op_threads=1, batch=4)


def engine(stored: StoredModel, setting: Setting, alone: Setting | None = None) -> OnnxEngine:
    tuning = Tuning(setting, (), alone)
    return OnnxEngine(stored.spec, stored.digest, tuning, open_sessions(stored.model, tuning), ())


@pytest.fixture(params=["cpu", "openvino"])
def setting(request: pytest.FixtureRequest) -> Setting:
    if request.param == "openvino":
        request.getfixturevalue("openvino")
    return {"cpu": CPU, "openvino": OPENVINO}[request.param]


def test_threads_that_share_an_engine_get_their_own_answers(stored: StoredModel, setting: Setting) -> None:
    """Eight threads with batches of every size: each row is what its picture gets offline."""
    pixels = pictures(64)
    expected = reference(stored.model, pixels)
    shared = engine(stored, setting)

    def work(seed: int) -> float:
        random = np.random.default_rng(seed)
        worst = 0.0
        for _ in range(50):
            chosen = random.choice(64, size=random.integers(1, 9), replace=False)
            worst = max(worst, float(np.abs(shared.run(pixels[chosen]) - expected[chosen]).max()))
        return worst

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) < 1e-4


def test_a_picture_alone_gets_the_same_answer_from_all_cores(stored: StoredModel) -> None:
    """The second session is another way to the same logits; a batch does not use it."""
    pixels = pictures(3)
    both = engine(stored, CPU, Setting("cpu", "fp32", lanes=1, intra_op_threads=2, batch=1))
    both.warm()

    assert np.allclose(both.run(pixels[:1], alone=True), reference(stored.model, pixels[:1]), atol=1e-5)
    assert np.allclose(both.run(pixels, alone=True), reference(stored.model, pixels), atol=1e-5)


def test_logits_of_another_shape_than_promised_are_an_error(publish: Publish, store: ModelStore) -> None:
    """A graph that answers once per batch, not once per picture, is told so at the first batch of two."""
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=1),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "row"], ["rows"]),
        # How many rows a condition keeps is known at run time only, so no shape in the file contradicts the spec.
        helper.make_node("Compress", ["rows", "first"], ["logits"], axis=0),
    ]
    weights = {"axes": np.array([1, 2]), "row": np.ones((1, 3)), "first": np.array([True])}
    publish(name="merged", model=assemble(nodes, weights, SPEC, out="M"))
    merged = engine(store.open(ModelKey("merged", 1)), CPU)

    assert merged.run(pictures(1)).shape == (1, 3)
    with pytest.raises(EngineFailed, match=r"gave logits \[1, 3\] where \[2, 3\] were expected"):
        merged.run(pictures(2))


def test_a_batch_that_the_runtime_cannot_run_fails_with_its_reason(stored: StoredModel) -> None:
    """ONNX Runtime's own exception becomes ours, and the engine goes on."""
    shared = engine(stored, CPU)

    with pytest.raises(EngineFailed, match=r"ONNX Runtime failed on a batch of 2: .*INVALID_ARGUMENT"):
        shared.run(np.zeros((2, 9, 9, 1), np.uint8))
    assert shared.run(pictures(2)).shape == (2, 3)


def test_a_closed_engine_says_so(stored: StoredModel) -> None:
    """Nobody gets an answer from a model that was unloaded."""
    shared = engine(stored, CPU)
    shared.close()

    with pytest.raises(EngineFailed, match="shades is closed"):
        shared.run(pictures(1))


def test_a_session_does_not_keep_the_bytes_of_the_file(stored: StoredModel) -> None:
    """They cost as much memory as the weights."""
    gc.collect()
    before = sys.getrefcount(stored.model)

    opened = open_session(stored.model, CPU)
    after = sys.getrefcount(stored.model)

    assert after == before
    assert opened.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"device_type": "CPU", "load_config": "{"}, "ONNX Runtime took CPUExecutionProvider in its place"),
        ({"device_type": "CPU", "load_config": json.dumps({"CPU": {"NO_SUCH": "1"}})}, "Exception during init"),
    ],
)
def test_openvino_cannot_leave_silently(
    stored: StoredModel, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], problem: str
) -> None:
    """An option that OpenVINO dislikes is an error, though ONNX Runtime would go on with its CPU provider."""
    monkeypatch.setattr(session, "configuration", lambda _: ("OpenVINOExecutionProvider", options))

    with pytest.raises(Refused, match=f"^provider openvino fp32 does not start: .*{problem}"):
        open_session(stored.model, OPENVINO)
