"""What a request of the standard becomes on its way to the queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from service.core.access import Caller, Scope
from service.core.errors import Forbidden, InvalidInput, NotReady, TooLate, Unsupported
from service.core.messages import NEVER, Answer, Options, Priority
from service.oip.inference import About, OpenInference
from service.oip.layers import NoLayers
from service.oip.messages import InferRequest, Tensor, Wanted
from service.security.gate import CALLER
from service.telemetry.statistics import Statistics
from tests.fakes import DIGEST, DIGITS, TIMING, FakeCatalog

BATCH = np.resize(np.arange(256, dtype=np.uint8), (2, 28, 28, 1))
PIXELS = Tensor("image", "UINT8", BATCH.shape, BATCH)


@dataclass
class Queue:
    """Notes what is asked; says that every picture is a zero."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    async def classify_all(self, **asked: Any) -> Sequence[Answer]:
        self.asked.append(asked)
        return [Answer("ours", DIGITS, DIGEST, (), (4.0, 0.0), TIMING) for _ in asked["images"]]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def inference(queue: Queue) -> OpenInference:
    catalog = FakeCatalog()
    return OpenInference(
        About("1.2.3", 8), queue, catalog, NoLayers(), Statistics(), ready=catalog.ready, now=lambda: 100.0
    )


@pytest.fixture
def inferring_only() -> Iterator[None]:
    token = CALLER.set(Caller("lab", frozenset({Scope.INFER})))
    yield
    CALLER.reset(token)


async def test_a_batch_becomes_pictures_without_a_copy(inference: OpenInference, queue: Queue) -> None:
    """Each is a view of its part of the message; they go to the version that answers."""
    request = InferRequest("digits", "", "ours", (PIXELS,), timeout_us=2_000_000, priority=Priority.HIGH)
    response = await inference.infer(request, NEVER, "ModelInfer")
    (asked,) = queue.asked
    first, second = asked.pop("images")

    assert (first.obj is second.obj, bytes(second)) == (True, BATCH[1].tobytes())
    assert np.shares_memory(np.frombuffer(first, np.uint8), BATCH)
    assert asked == {
        "id": "ours",
        "model": "digits",
        "version": 3,
        "options": Options(top_k=0, logits=True, pixels=True),
        "deadline": 102.0,
        "priority": Priority.HIGH,
        "method": "ModelInfer",
    }
    assert (response.version, response.id, [tensor.shape for tensor in response.outputs]) == (
        3,
        "ours",
        [(2, 2), (2, 2)],
    )


async def test_what_is_too_late_is_not_queued(inference: OpenInference, queue: Queue) -> None:
    """The caller's deadline counts as well as the parameter."""
    with pytest.raises(TooLate):
        await inference.infer(InferRequest("digits", "", "", (PIXELS,)), 99.0, "ModelInfer")

    assert queue.asked == []


@pytest.mark.parametrize("field", ["id", "route_key"])
async def test_names_of_requests_are_short(inference: OpenInference, queue: Queue, field: str) -> None:
    """They are written to logs, to Redis and back to the caller."""
    request = InferRequest("digits", "", **{"id": "", "route_key": "", field: "x" * 129}, inputs=(PIXELS,))  # type: ignore[arg-type]  # one of both
    with pytest.raises(InvalidInput, match=f"{field}: at most 128 characters, got 129 characters"):
        await inference.infer(request, NEVER, "ModelInfer")

    assert queue.asked == []


async def test_a_model_that_is_not_ready(inference: OpenInference) -> None:
    """It is known, so it may be asked for again; the message tells what is wrong with it."""
    with pytest.raises(NotReady, match=r"model: fashion:1 is failed: model\.onnx: digest differs"):
        await inference.infer(InferRequest("fashion", "1", "", (PIXELS,)), NEVER, "ModelInfer")


async def test_layers_where_introspection_is_off(inference: OpenInference) -> None:
    """They are told apart from outputs that do not exist anywhere."""
    with pytest.raises(Unsupported, match="outputs: stem would be layers, and introspection is not offered here"):
        await inference.infer(InferRequest("digits", "", "", (PIXELS,), (Wanted("stem"),)), NEVER, "ModelInfer")


@pytest.mark.usefixtures("inferring_only")
async def test_layers_need_the_scope_of_looking_in(inference: OpenInference, queue: Queue) -> None:
    """Activations can give a picture away; whoever may only infer gets scores and no layers."""
    await inference.infer(InferRequest("digits", "", "", (PIXELS,)), NEVER, "ModelInfer")
    with pytest.raises(Forbidden, match="this needs the scope 'debug'; 'lab' has: infer"):
        await inference.infer(InferRequest("digits", "", "", (PIXELS,), (Wanted("stem"),)), NEVER, "ModelInfer")

    assert len(queue.asked) == 1
