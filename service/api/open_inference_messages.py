"""The protocol's messages <-> what `service.oip` works with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.core.errors import InvalidInput
from service.oip.messages import InferRequest, InferResponse, Parameter, Tensor, Wanted
from service.oip.parameters import Parameters
from service.oip.tensors import CONTENTS, count, from_list, from_raw, to_raw
from service.rpc.models import check_name
from service.rpc.open_inference import pb


def to_request(message: pb.ModelInferRequest) -> InferRequest:
    """Check and take a request off the wire. Raises `InvalidInput`, or `Unsupported` for shared memory."""
    check_name(message.model_name)
    parameters = Parameters("parameters", _values(message.parameters))
    return InferRequest(
        model=message.model_name,
        version=message.model_version,
        id=message.id,
        inputs=_from_raw(message) if message.raw_input_contents else _from_contents(message),
        outputs=tuple(_wanted(output) for output in message.outputs),
        timeout_us=parameters.timeout_us(),
        priority=parameters.priority(),
        label=parameters.text("label"),
        route_key=parameters.text("route_key"),
    )


def from_response(response: InferResponse, extra: Mapping[str, Parameter] | None = None) -> pb.ModelInferResponse:
    """Always raw, since stock clients read nothing else: one block of bytes for each output, in their order."""
    parameters = {**response.parameters, **(extra or {})}
    return pb.ModelInferResponse(
        model_name=response.model,
        model_version=str(response.version),
        id=response.id,
        parameters={name: _parameter(value) for name, value in parameters.items()},  # type: ignore[misc]  # dicts do
        outputs=[_output(tensor) for tensor in response.outputs],
        raw_output_contents=[to_raw(tensor) for tensor in response.outputs],
    )


def _from_raw(message: pb.ModelInferRequest) -> tuple[Tensor, ...]:
    inputs, raw = message.inputs, message.raw_input_contents
    for tensor in inputs:
        _check_memory(tensor)
        if tensor.HasField("contents"):
            limit = "contents field must not be specified when using raw_input_contents"
            raise InvalidInput(f"inputs.{tensor.name}.contents", limit, "both")
    if len(raw) < len(inputs):
        limit = f"one per input; unable to find data for input tensor {inputs[len(raw)].name!r}"
        raise InvalidInput("raw_input_contents", limit, len(raw))
    if len(raw) > len(inputs):
        raise InvalidInput("raw_input_contents", f"one per input, {len(inputs)} in all", len(raw))
    return tuple(
        from_raw(tensor.name, tensor.datatype, tuple(tensor.shape), data)
        for tensor, data in zip(inputs, raw, strict=True)
    )


def _from_contents(message: pb.ModelInferRequest) -> tuple[Tensor, ...]:
    return tuple(_from_content(tensor) for tensor in message.inputs)


def _from_content(tensor: pb.ModelInferRequest.InferInputTensor) -> Tensor:
    _check_memory(tensor)
    shape = tuple(tensor.shape)
    count(tensor.name, tensor.datatype, shape)
    filled = [field.name for field, _ in tensor.contents.ListFields()]
    expected = CONTENTS[tensor.datatype]
    if filled != [expected]:
        limit = f"the elements of {tensor.datatype} in {expected} and nowhere else, or raw_input_contents"
        raise InvalidInput(f"inputs.{tensor.name}.contents", limit, ", ".join(filled) or "nothing")
    return from_list(tensor.name, tensor.datatype, shape, getattr(tensor.contents, expected))


def _wanted(output: pb.ModelInferRequest.InferRequestedOutputTensor) -> Wanted:
    parameters = Parameters(f"outputs.{output.name}", _values(output.parameters))
    parameters.refuse_shared_memory()
    return Wanted(output.name, parameters.classes())


def _check_memory(tensor: pb.ModelInferRequest.InferInputTensor) -> None:
    Parameters(f"inputs.{tensor.name}", _values(tensor.parameters)).refuse_shared_memory()


def _values(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Parameter]:
    return {
        name: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
        for name, value in parameters.items()
    }


def _parameter(value: Parameter) -> dict[str, Any]:
    kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    return {kinds[type(value)]: value}


def _output(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
