"""Speaks to a server with tritonclient over HTTP, in a process of its own, and prints what came back as JSON.

usage: triton_http.py HOST:PORT FOLDER_OF_DIGITS
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from facts import facts
from tritonclient.utils import InferenceServerException

ADDRESS, FILES = sys.argv[1], sorted(Path(sys.argv[2]).glob("*.png"))[:3]
CLIENT = triton.InferenceServerClient(ADDRESS)
BATCH = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28, 1)


def tensor(values: Any, datatype: str, *, binary: bool = True) -> triton.InferInput:
    given = triton.InferInput("image", list(values.shape), datatype)
    given.set_data_from_numpy(values, binary_data=binary)
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
    ready = [CLIENT.is_model_ready("digits", "1"), CLIENT.is_model_ready("nothing")]
    return [CLIENT.is_server_live(), CLIENT.is_server_ready(), *ready]


def descriptions() -> Any:
    config = CLIENT.get_model_config("digits")
    metadata = CLIENT.get_model_metadata("digits", "1")
    return [
        CLIENT.get_server_metadata()["name"],
        metadata["inputs"],
        config["max_batch_size"],
        config["input"][0]["dims"],
    ]


def binary_and_json() -> Any:
    """The same tensor both ways in, and the answer both ways out."""
    answers = []
    for binary in (True, False):
        wanted = [triton.InferRequestedOutput("logits", binary_data=binary)]
        result = CLIENT.infer("digits", [tensor(BATCH, "UINT8", binary=binary)], outputs=wanted, request_id="ours")
        answers.append(result)
    same = bool(np.array_equal(answers[0].as_numpy("logits"), answers[1].as_numpy("logits")))
    return [same, answers[0].get_response()["id"], answers[0].get_response()["model_version"]]


def every_output() -> Any:
    result = CLIENT.infer("digits", [tensor(BATCH, "UINT8")])
    return [result.as_numpy(name).shape for name in ("logits", "scores")]


def classification() -> Any:
    rows = []
    for binary in (True, False):
        wanted = [triton.InferRequestedOutput("scores", binary_data=binary, class_count=1)]
        found = CLIENT.infer("digits", [pictures()], outputs=wanted).as_numpy("scores")
        texts = [each.decode() if isinstance(each, bytes) else each for each in found.ravel()]
        rows.append([text.split(":")[2] for text in texts])
    return rows


def layers() -> Any:
    wanted = [triton.InferRequestedOutput("stem_relu", binary_data=True)]
    return CLIENT.infer("digits", [pictures()], outputs=wanted).as_numpy("stem_relu").shape


def compressed() -> Any:
    return [
        CLIENT.infer("digits", [tensor(BATCH, "UINT8")], request_compression_algorithm=algorithm)
        .as_numpy("logits")
        .shape
        for algorithm in ("gzip", "deflate")
    ]


def statistics() -> Any:
    before = CLIENT.get_inference_statistics("digits")["model_stats"][0]["inference_count"]
    every_output()
    return CLIENT.get_inference_statistics("digits")["model_stats"][0]["inference_count"] - before


def repository() -> Any:
    CLIENT.unload_model("guide")
    gone = CLIENT.is_model_ready("guide")
    CLIENT.load_model("guide")
    return [gone, {model["name"]: model["state"] for model in CLIENT.get_model_repository_index()}]


def refusals() -> Any:
    return {
        "model": refusal(lambda: CLIENT.infer("nothing", [tensor(BATCH, "UINT8")])),
        "shape": refusal(lambda: CLIENT.infer("digits", [tensor(BATCH.reshape(2, 1, 28, 28), "UINT8")])),
        "shared memory": refusal(CLIENT.get_system_shared_memory_status),
    }


if __name__ == "__main__":
    facts(
        health, descriptions, binary_and_json, every_output, classification, layers, compressed, statistics,
        repository, refusals,
    )  # fmt: skip
