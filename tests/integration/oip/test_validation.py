"""Every mistake that the protocol's wire allows is refused with a message that names it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import message_factory

from service.rpc.open_inference import SERVICE, pb

ZERO = bytes(28 * 28)
Change = Callable[[Any], None]


def request(raw: bytes | None = ZERO, shape: tuple[int, ...] = (1, 28, 28, 1), datatype: str = "UINT8") -> Any:
    """One picture of digits as pixels."""
    asked = pb.ModelInferRequest(model_name="digits", id="ours")
    asked.inputs.add(name="image", datatype=datatype, shape=shape)
    if raw is not None:
        asked.raw_input_contents.append(raw)
    return asked


async def infer(channel: grpc.aio.Channel, asked: Any) -> Any:
    call = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    return await call(asked, timeout=60)


async def refusal(channel: grpc.aio.Channel, asked: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await infer(channel, asked)
    return raised.value.code().name, str(raised.value.details())


def strings(*values: bytes) -> bytes:
    """As BYTES travel."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


async def test_the_response_is_always_raw(channel: grpc.aio.Channel) -> None:
    """Stock clients crash on anything else: one block for each output, in their order, and no contents."""
    typed = request(raw=None)
    typed.inputs[0].contents.uint_contents.extend(ZERO)
    for asked in (request(), typed):
        response = await infer(channel, asked)

        assert [output.name for output in response.outputs] == ["logits", "scores"]
        assert [len(raw) for raw in response.raw_output_contents] == [40, 40]
        assert not any(output.HasField("contents") for output in response.outputs)
        assert (response.id, response.model_name, response.model_version) == ("ours", "digits", "1")


async def test_an_answer_tells_where_it_came_from(channel: grpc.aio.Channel) -> None:
    """The model's digest, what computed it, in which company, and where its time went; an id only if there was one."""
    asked = request()
    asked.id = ""
    response = await infer(channel, asked)
    told = {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in response.parameters.items()}

    assert response.id == ""
    assert len(told.pop("digest")) == 64
    assert (told.pop("provider"), told.pop("batch_size")) == ("cpu fp32", 1)
    assert sorted(told) == ["compute_us", "decode_us", "queue_us"]
    assert told["compute_us"] > 0


async def test_only_what_was_asked_for(channel: grpc.aio.Channel) -> None:
    """In the order in which it was asked for."""
    asked = request()
    asked.outputs.add(name="scores")
    response = await infer(channel, asked)

    assert [output.name for output in response.outputs] == ["scores"]
    assert np.frombuffer(response.raw_output_contents[0], "<f4").sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (request(ZERO[1:]), "inputs.image: input byte size mismatch: expected 784 bytes for UINT8 [1, 28, 28, 1]"),
        (request(ZERO + b"\0"), "inputs.image: input byte size mismatch: expected 784 bytes"),
        (request(b"", (-1, 28, 28, 1)), "inputs.image.shape: every dimension given, and 1 or more, got [-1, 28,"),
        (request(b"", (0, 28, 28, 1)), "inputs.image.shape: every dimension given, and 1 or more, got [0, 28, 28, 1]"),
        (request(b"", ()), "inputs.image.shape: every dimension given, and 1 or more, got []"),
        (request(b"", (2**40, 2**40)), "inputs.image.shape: at most 2147483648 elements"),
        (request(ZERO, (28, 28, 1)), "inputs.image.shape: inference request batch-size must be <= 8 for 'digits'"),
        (request(ZERO * 9, (9, 28, 28, 1)), "inputs.image.shape: inference request batch-size must be <= 8"),
        (request(ZERO, (1, 1, 28, 28)), "inputs.image.shape: [N, 28, 28, 1] for UINT8, got [1, 1, 28, 28]"),
        (request(bytes(40), (1, 10), "FP32"), "inputs.image.shape: [N, 28, 28, 1] or [N, 1, 28, 28] for FP32"),
        (request(ZERO * 2, datatype="FP16"), "inputs.image.datatype: one of UINT8, FP32, BYTES, got 'FP16'"),
        (request(strings(b"x"), (1, 2), "BYTES"), "inputs.image: 2 elements for shape [1, 2], got 1"),
        (request(strings(b"x", b"y"), (1, 2), "BYTES"), "inputs.image.shape: [N] or [N, 1] for BYTES"),
        (request(strings(b"xyz")[:-1], (1,), "BYTES"), "inputs.image: each string after its length in 4 bytes"),
        (request(b"\1\0", (1,), "BYTES"), "inputs.image: each string after its length in 4 bytes"),
        (request(strings(b"x") + b"y", (1,), "BYTES"), "inputs.image: each string after its length in 4 bytes"),
        (request(strings(b"not a picture"), (1,), "BYTES"), "image: must be JPEG, PNG, WebP, GIF, BMP or TIFF"),
        (request(None), "inputs.image.contents: the elements of UINT8 in uint_contents and nowhere else"),
    ],
)  # fmt: skip
async def test_inputs_are_strict(channel: grpc.aio.Channel, asked: Any, message: str) -> None:
    """Sizes, shapes, datatypes, and how strings are laid out."""
    code, details = await refusal(channel, asked)

    assert code == "INVALID_ARGUMENT"
    assert details.startswith(message)


def _both(asked: Any) -> None:
    asked.inputs[0].contents.SetInParent()


def _surplus(asked: Any) -> None:
    asked.raw_input_contents.append(b"")


def _missing(asked: Any) -> None:
    asked.inputs.add(name="other", datatype="UINT8", shape=[1])


def _twice(asked: Any) -> None:
    asked.outputs.add(name="scores")
    asked.outputs.add(name="scores")


def _no_classes(asked: Any) -> None:
    asked.outputs.add(name="scores").parameters["classification"].int64_param = 0


def _text_classes(asked: Any) -> None:
    asked.outputs.add(name="scores").parameters["classification"].string_param = "3"


def _far_priority(asked: Any) -> None:
    asked.parameters["priority"].uint64_param = 7


def _memory_in(asked: Any) -> None:
    asked.inputs[0].parameters["shared_memory_region"].string_param = "region"


def _memory_out(asked: Any) -> None:
    asked.outputs.add(name="scores").parameters["shared_memory_region"].string_param = "region"


def _no_name(asked: Any) -> None:
    asked.model_name = ""


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (_both, "INVALID_ARGUMENT", "inputs.image.contents: contents field must not be specified when using raw_input"),
        (_surplus, "INVALID_ARGUMENT", "raw_input_contents: one per input, 1 in all, got 2"),
        (_missing, "INVALID_ARGUMENT", "raw_input_contents: one per input; unable to find data for input tensor"),
        (_twice, "INVALID_ARGUMENT", "outputs: names, each of them once, got ['scores', 'scores']"),
        (_no_classes, "INVALID_ARGUMENT", "outputs.scores.classification: 1 or more classes, got 0"),
        (_text_classes, "INVALID_ARGUMENT", "outputs.scores.classification: a whole number from 0, got '3'"),
        (_far_priority, "INVALID_ARGUMENT", "parameters.priority: 0 (the default, 2) to 3, got 7"),
        (_memory_in, "UNIMPLEMENTED", "inputs.image: shared memory is not offered"),
        (_memory_out, "UNIMPLEMENTED", "outputs.scores: shared memory is not offered"),
        (_no_name, "INVALID_ARGUMENT", "model: a name of 1 to 128 characters, got 0 characters"),
    ],
)  # fmt: skip
async def test_requests_are_strict(channel: grpc.aio.Channel, change: Change, code: str, message: str) -> None:
    """Raw and typed contents together, tensors without data and data without tensors, impossible parameters."""
    asked = request()
    change(asked)

    told, details = await refusal(channel, asked)

    assert told == code
    assert details.startswith(message)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("uint_contents", [256] * 784, "inputs.image: whole numbers of 0 to 255 for UINT8, got 256 to 256"),
        ("uint_contents", [0] * 783, "inputs.image: 784 elements for shape [1, 28, 28, 1], got 783"),
        ("int_contents", [0] * 784, "inputs.image.contents: the elements of UINT8 in uint_contents and nowhere else"),
    ],
)
async def test_typed_contents_are_strict(
    channel: grpc.aio.Channel, field: str, values: list[int], message: str
) -> None:
    """Numbers are never cut to fit, and the field is the one of the datatype."""
    asked = request(None)
    getattr(asked.inputs[0].contents, field).extend(values)

    assert (await refusal(channel, asked))[1].startswith(message)


async def test_two_fields_of_contents_are_refused(channel: grpc.aio.Channel) -> None:
    """One of them would be ignored."""
    asked = request(None)
    asked.inputs[0].contents.uint_contents.extend(ZERO)
    asked.inputs[0].contents.fp32_contents.append(1.0)

    assert "got uint_contents, fp32_contents" in (await refusal(channel, asked))[1]


@pytest.mark.parametrize("value", [0.5, 256.0, -1.0, float("nan")])
async def test_floats_that_are_no_pixels_are_refused(channel: grpc.aio.Channel, value: float) -> None:
    """The network takes 8-bit pixels, so nothing is rounded in silence."""
    floats = np.full((1, 28, 28, 1), value, "<f4")
    code, details = await refusal(channel, request(floats.tobytes(), floats.shape, "FP32"))

    assert code == "INVALID_ARGUMENT"
    assert details.startswith("inputs.image: FP32 that stands for whole pixels of 0 to 255")


async def test_parameters_of_stock_clients_are_let_pass(channel: grpc.aio.Channel) -> None:
    """Priority in either integer type, sequences, what the C++ client always sends, and doubles of one's own."""
    asked = request()
    asked.parameters["priority"].int64_param = 1
    asked.parameters["timeout"].int64_param = 30_000_000
    asked.parameters["sequence_id"].int64_param = 4
    asked.parameters["sequence_start"].bool_param = True
    asked.parameters["triton_enable_empty_final_response"].bool_param = True
    asked.parameters["ours"].double_param = 0.5

    assert (await infer(channel, asked)).model_name == "digits"


async def test_messages_beyond_the_limit_are_refused(channel: grpc.aio.Channel) -> None:
    """Before they are held in memory."""
    assert (await refusal(channel, request(bytes(1_000_001))))[0] == "RESOURCE_EXHAUSTED"


async def test_a_stream_may_ask_for_statuses(channel: grpc.aio.Channel) -> None:
    """With `triton_grpc_error` a failure ends the stream with its status."""
    call = channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )(iter([request(), request(b"")]), metadata=(("triton_grpc_error", "true"),), timeout=60)
    first: Any = await call.read()

    assert first.infer_response.id == "ours"
    assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_failure_within_a_stream_has_its_id(channel: grpc.aio.Channel) -> None:
    """Clients match answers by it."""
    call = channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )(iter([request(b"")]), timeout=60)
    answers = [answer async for answer in call]

    assert [answer.infer_response.id for answer in answers] == ["ours"]
    assert answers[0].error_message.startswith("inputs.image: input byte size mismatch")


@pytest.mark.parametrize(
    "method",
    [method.name for method in SERVICE.methods if method.name.endswith(("Settings", "Setting"))]
    + [method.name for method in SERVICE.methods if "SharedMemory" in method.name],
)
async def test_what_is_not_offered_says_so(channel: grpc.aio.Channel, method: str) -> None:
    """By its name, so that a client that uses it somewhere deep down is understood."""
    described = SERVICE.methods_by_name[method]
    ask: Any = channel.unary_unary(
        f"/inference.GRPCInferenceService/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(described.output_type).FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(message_factory.GetMessageClass(described.input_type)(), timeout=60)

    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert str(refused.value.details()).startswith(f"{method}: ")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            pb.RepositoryModelLoadRequest(
                model_name="guide", parameters={"config": pb.ModelRepositoryParameter(string_param="{}")}
            ),
            "parameters: models are published as files",
        ),
        (pb.RepositoryModelLoadRequest(model_name="guide", repository_name="other"), "repository_name: there is one"),
    ],
)
async def test_models_come_as_files_only(channel: grpc.aio.Channel, asked: Any, message: str) -> None:
    """Neither configurations nor files are taken over the wire, and there is one repository."""
    load = channel.unary_unary(
        "/inference.GRPCInferenceService/RepositoryModelLoad",
        request_serializer=pb.RepositoryModelLoadRequest.SerializeToString,
        response_deserializer=pb.RepositoryModelLoadResponse.FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await load(asked, timeout=60)

    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert str(refused.value.details()).startswith(message)
