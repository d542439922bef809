"""Tensors of the Open Inference Protocol cross Redis as pixels."""

from __future__ import annotations

import grpc
import httpx
import numpy as np
import pytest

from service.rpc.open_inference import pb
from tests.guide import convolved
from tests.integration.distributed.deployment import Started

PIXELS = bytes(range(18))


def request(*outputs: str) -> pb.ModelInferRequest:
    """Two pictures of 3 x 3 for `guide`."""
    asked = pb.ModelInferRequest(model_name="guide", raw_input_contents=[PIXELS])
    asked.inputs.add(name="image", datatype="UINT8", shape=(2, 3, 3, 1))
    for name in outputs:
        asked.outputs.add(name=name)
    return asked


def infer(front_end: Started, asked: pb.ModelInferRequest) -> pb.ModelInferResponse:
    with grpc.insecure_channel(front_end.address("gRPC")) as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        return call(asked, timeout=60)


def statistics(front_end: Started) -> dict[str, int]:
    """Of `guide`: pictures, requests, and executed batches."""
    (told,) = httpx.get(front_end.address("HTTP") + "/v2/models/guide/stats").json()["model_stats"]
    batches = sum(batch["compute_infer"]["count"] for batch in told["batch_stats"])
    assert batches == told["execution_count"]
    return {"pictures": told["inference_count"], "requests": told["inference_stats"]["success"]["count"]}


def test_each_picture_of_a_batch_is_computed_from_its_own_pixels(front_end: Started) -> None:
    """Wherever it was computed; the front-end counts one request and two pictures."""
    before = statistics(front_end)
    response = infer(front_end, request("logits"))
    after = statistics(front_end)
    logits = np.frombuffer(response.raw_output_contents[0], "<f4").reshape(2, 4)

    assert logits.tolist() == [list(convolved(PIXELS[:9])), list(convolved(PIXELS[9:]))]
    assert {name: after[name] - before[name] for name in after} == {"pictures": 2, "requests": 1}


def test_layers_are_refused_where_no_model_file_is(front_end: Started) -> None:
    """The front-end has no engine to look with."""
    with pytest.raises(grpc.RpcError) as raised:
        infer(front_end, request("conv"))

    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
