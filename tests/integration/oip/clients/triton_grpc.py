"""Speaks to a server with tritonclient over gRPC, in a process of its own, and prints what came back as JSON.

usage: triton_grpc.py HOST:PORT FOLDER_OF_DIGITS
"""

from __future__ import annotations

import asyncio
import queue
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from facts import facts
from tritonclient.utils import InferenceServerException

ADDRESS, FILES = sys.argv[1], sorted(Path(sys.argv[2]).glob("*.png"))[:3]
CLIENT = triton.InferenceServerClient(ADDRESS)
BATCH = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28, 1)


def tensor(values: Any, datatype: str, name: str = "image") -> triton.InferInput:
    given = triton.InferInput(name, list(values.shape), datatype)
    given.set_data_from_numpy(values)
    return given


def pictures() -> triton.InferInput:
    return tensor(np.array([file.read_bytes() for file in FILES], dtype=object), "BYTES")


def refusal(call: Callable[[], object]) -> list[str]:
    try:
        call()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return ["none", ""]


def health() -> Any:
    return [CLIENT.is_server_live(), CLIENT.is_server_ready(), CLIENT.is_model_ready("digits", "1")]


def metadata() -> Any:
    return [CLIENT.get_server_metadata(as_json=True), CLIENT.get_model_metadata("digits", as_json=True)]


def config() -> Any:
    return CLIENT.get_model_config("digits", as_json=True)["config"]


def raw() -> Any:
    result = CLIENT.infer("digits", [tensor(BATCH, "UINT8")], request_id="ours", model_version="1")
    response = result.get_response()
    whole = [response.id, response.model_name, response.model_version]
    return [whole, result.as_numpy("logits").shape, result.as_numpy("scores").sum(axis=1).round(4).tolist()]


def one_way_or_another() -> Any:
    """Pixels as bytes, as floats, and normalised as PyTorch has them: the same logits."""
    plain = BATCH.astype(np.float32)
    scale, mean, std = 1 / 255, *(float(each) for each in sys.argv[3:5])
    normal = ((plain * np.float32(scale) - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2)
    given = [tensor(BATCH, "UINT8"), tensor(plain, "FP32"), tensor(np.ascontiguousarray(normal), "FP32")]
    logits = [CLIENT.infer("digits", [each]).as_numpy("logits") for each in given]
    return [bool(np.array_equal(logits[0], each)) for each in logits[1:]]


def classification() -> Any:
    wanted = [triton.InferRequestedOutput("scores", class_count=2)]
    found = CLIENT.infer("digits", [pictures()], outputs=wanted).as_numpy("scores")
    return [[each.decode().split(":", 2)[1:] for each in row] for row in found]


def layers() -> Any:
    wanted = [triton.InferRequestedOutput("stem_relu"), triton.InferRequestedOutput("logits")]
    result = CLIENT.infer("digits", [pictures()], outputs=wanted)
    return [result.as_numpy("stem_relu").shape, bool((result.as_numpy("stem_relu") >= 0).all())]


def asynchronous() -> Any:
    answers: queue.Queue[Any] = queue.Queue()
    for number in range(4):
        CLIENT.async_infer(
            "digits",
            [tensor(BATCH, "UINT8")],
            callback=lambda result, error: answers.put((result, error)),
            request_id=str(number),
        )
    return sorted(answers.get(timeout=60)[0].get_response().id for _ in range(4))


async def _with_asyncio() -> Any:
    async with triton_aio.InferenceServerClient(ADDRESS) as client:
        result = await client.infer("digits", [tensor(BATCH, "UINT8")], request_id="aio", timeout=10_000_000)
        return [result.get_response().id, result.as_numpy("logits").shape]


def with_asyncio() -> Any:
    return asyncio.run(_with_asyncio())


def streaming() -> Any:
    """Five requests on one stream, the third for a model that is not there."""
    answers: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(ADDRESS) as client:
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        for number, model in enumerate(("digits", "digits", "nothing", "digits", "digits")):
            client.async_stream_infer(
                model, [tensor(BATCH, "UINT8")], request_id=str(number), enable_empty_final_response=True
            )
        found = [answers.get(timeout=60) for _ in range(5)]
        client.stop_stream()
    return [error.message() if error else result.get_response().id for result, error in found]


def finality() -> Any:
    answers: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(ADDRESS) as client:
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        client.async_stream_infer("digits", [tensor(BATCH, "UINT8")])
        result, _ = answers.get(timeout=60)
        return result.get_response().parameters["triton_final_response"].bool_param


def statistics() -> Any:
    """What one request of two pictures adds to the totals."""
    before, after = (_counted(), (raw(), _counted())[1])
    return [later - earlier for earlier, later in zip(before, after, strict=True)]


def _counted() -> list[int]:
    stats = CLIENT.get_inference_statistics("digits").model_stats[0]
    kinds = ("success", "queue", "compute_input", "compute_infer", "compute_output")
    return [stats.inference_count, *(getattr(stats.inference_stats, kind).count for kind in kinds)]


def repository() -> Any:
    """The guide's model goes and comes back."""
    CLIENT.unload_model("guide")
    gone = CLIENT.is_model_ready("guide"), _state("guide")
    asked = refusal(lambda: CLIENT.infer("guide", [tensor(np.zeros((1, 3, 3, 1), np.uint8), "UINT8")]))
    CLIENT.load_model("guide")
    return [*gone, asked[0], CLIENT.is_model_ready("guide"), _state("guide")]


def _state(name: str) -> str:
    index = CLIENT.get_model_repository_index().models
    return next(str(model.state) for model in index if model.name == name)


def refusals() -> Any:
    return {
        "model": refusal(lambda: CLIENT.infer("nothing", [tensor(BATCH, "UINT8")])),
        "version": refusal(lambda: CLIENT.infer("digits", [tensor(BATCH, "UINT8")], model_version="9")),
        "no number": refusal(lambda: CLIENT.infer("digits", [tensor(BATCH, "UINT8")], model_version="v1")),
        "input": refusal(lambda: CLIENT.infer("digits", [tensor(BATCH, "UINT8", "pixels")])),
        "output": refusal(lambda: _infer_output("nothing")),
        "classes": refusal(lambda: _infer_output("scores", class_count=-1)),
        "shared memory": refusal(CLIENT.get_system_shared_memory_status),
        "trace": refusal(CLIENT.get_trace_settings),
        "log": refusal(CLIENT.get_log_settings),
        "ready": refusal(lambda: CLIENT.is_model_ready("nothing")),
        "timeout": refusal(lambda: CLIENT.infer("digits", [tensor(BATCH, "UINT8")], timeout=1)),
    }


def _infer_output(name: str, **options: Any) -> None:
    CLIENT.infer("digits", [tensor(BATCH, "UINT8")], outputs=[triton.InferRequestedOutput(name, **options)])


def compressed() -> Any:
    result = CLIENT.infer("digits", [tensor(BATCH, "UINT8")], compression_algorithm="gzip")
    return result.as_numpy("logits").shape


if __name__ == "__main__":
    facts(
        health, metadata, config, raw, one_way_or_another, classification, layers, asynchronous, with_asyncio,
        streaming, finality, statistics, repository, refusals, compressed,
    )  # fmt: skip
