"""Speaks to a server with KServe's gRPC client, in a process of its own, and prints what came back as JSON.

usage: kserve_grpc.py HOST:PORT FOLDER_OF_DIGITS
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
from facts import facts
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient

ADDRESS, FILES = sys.argv[1], sorted(Path(sys.argv[2]).glob("*.png"))[:3]
BATCH = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28, 1)


def ask(given: InferInput) -> Any:
    async def infer() -> Any:
        async with InferenceGRPCClient(ADDRESS) as client:
            request = InferRequest(model_name="digits", infer_inputs=[given], request_id="ours")
            return await client.infer(request)

    return asyncio.run(infer())


def tensor(*, binary: bool) -> InferInput:
    given = InferInput("image", list(BATCH.shape), "UINT8")
    given.set_data_from_numpy(BATCH, binary_data=binary)
    return given


def health() -> Any:
    async def check() -> Any:
        async with InferenceGRPCClient(ADDRESS) as client:
            return [
                await client.is_server_live(),
                await client.is_server_ready(),
                await client.is_model_ready("digits"),
            ]

    return asyncio.run(check())


def raw_and_typed() -> Any:
    """The same tensor as bytes and as a list of numbers."""
    answers = [ask(tensor(binary=binary)) for binary in (True, False)]
    logits = [answer.outputs[0].as_numpy() for answer in answers]
    return [bool(np.array_equal(*logits)), list(logits[0].shape), answers[0].id, answers[0].model_version]


def pictures() -> Any:
    given = InferInput("image", [len(FILES)], "BYTES")
    given.set_data_from_numpy(np.array([file.read_bytes() for file in FILES], dtype=object), binary_data=True)
    answer = ask(given)
    return next(output for output in answer.outputs if output.name == "scores").as_numpy().argmax(axis=1).tolist()


if __name__ == "__main__":
    facts(health, raw_and_typed, pictures)
