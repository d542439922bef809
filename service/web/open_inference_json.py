"""Requests and responses of the protocol as JSON, with the binary extension: tensors as bytes behind the JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.responses import Response

from service.core.errors import InvalidInput
from service.oip.messages import InferRequest, InferResponse, Tensor, Wanted
from service.oip.parameters import Parameters
from service.oip.tensors import BYTES, from_list, from_raw, to_raw

#: Header with the length of the JSON, where bytes follow it.
LENGTH = "inference-header-content-length"
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Binary:
    """Which outputs are wanted as bytes: those with an entry as it says, the others by `default`."""

    default: bool
    outputs: Mapping[str, bool]

    def wanted(self, name: str) -> bool:
        """Whether this output is."""
        return self.outputs.get(name, self.default)


def json_object(text: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8; raises `InvalidInput` for anything else, half of a surrogate pair among it."""
    try:
        value = json.loads(text.decode())
        if b"\\u" in text:  # an escape can say what is no Unicode, and nothing behind here could encode it
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInput("body", "must be JSON", error) from None
    if not isinstance(value, dict):
        raise InvalidInput("body", "must be a JSON object", type(value).__name__)
    return value


def read_request(model: str, version: str, body: bytes, length: str | None) -> tuple[InferRequest, Binary]:
    """The request, and which outputs it wants as bytes. `length` is the header's. Raises `InvalidInput`."""
    end = len(body) if length is None else _length(length, len(body))
    asked = json_object(body[:end])
    parameters = Parameters("parameters", _object(asked, "parameters"))
    outputs = [_output(each, i) for i, each in enumerate(_objects(asked, "outputs"))]
    request = InferRequest(
        model=model,
        version=version,
        id=_text(asked, "id", "id"),
        inputs=_inputs(_objects(asked, "inputs"), memoryview(body)[end:]),
        outputs=tuple(wanted for wanted, _ in outputs),
        timeout_us=parameters.timeout_us(),
        priority=parameters.priority(),
        label=parameters.text("label"),
        route_key=parameters.text("route_key"),
    )
    default = parameters.flag("binary_data_output") or False
    return request, Binary(default, {wanted.name: flag for wanted, flag in outputs if flag is not None})


def write_response(response: InferResponse, binary: Binary) -> Response:
    """The response, as JSON alone or with bytes behind it. Raises `InvalidInput` for numbers that JSON cannot hold."""
    described = [_described(tensor, as_bytes=binary.wanted(tensor.name)) for tensor in response.outputs]
    about = {"model_name": response.model, "model_version": str(response.version)}
    about |= {"id": response.id} if response.id else {}
    parameters = {"parameters": dict(response.parameters)} if response.parameters else {}
    head = _dumped({**about, **parameters, "outputs": [tensor for tensor, _ in described]})
    tail = b"".join(data for _, data in described)
    if not tail:
        return Response(head, media_type="application/json")
    return Response(head + tail, media_type="application/octet-stream", headers={LENGTH: str(len(head))})


def _length(text: str, limit: int) -> int:
    # Python refuses to read thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(limit)) and int(text) <= limit):
        raise InvalidInput(LENGTH, f"a number of bytes of the body, at most {limit}", repr(text))
    return int(text)


class _Tail:
    """The bytes behind the JSON, which the inputs take one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._taken = 0

    def take(self, size: object, place: str) -> memoryview:
        """The next `size` bytes."""
        left = len(self._data) - self._taken
        if type(size) is not int or not 0 <= size <= left:
            raise InvalidInput(f"{place}.binary_data_size", f"0 to {left}, the bytes behind the JSON", repr(size))
        self._taken += size
        return self._data[self._taken - size : self._taken]

    def end(self) -> None:
        """Raise `InvalidInput` when something is left."""
        if self._taken != len(self._data):
            raise InvalidInput("body", f"{self._taken} bytes behind the JSON, as the inputs say", len(self._data))


def _inputs(inputs: Sequence[Mapping[str, Any]], data: memoryview) -> tuple[Tensor, ...]:
    tail = _Tail(data)
    tensors = tuple(_input(each, f"inputs[{number}]", tail) for number, each in enumerate(inputs))
    tail.end()
    return tensors


def _input(asked: Mapping[str, Any], place: str, tail: _Tail) -> Tensor:
    name, datatype = _text(asked, "name", f"{place}.name"), _text(asked, "datatype", f"{place}.datatype")
    shape = _shape(asked.get("shape"), place)
    parameters = Parameters(place, _object(asked, "parameters"))
    parameters.refuse_shared_memory()
    if "binary_data_size" in parameters.values:
        if "data" in asked:
            raise InvalidInput(f"{place}.data", "must not be specified together with binary_data_size", "both")
        return from_raw(name, datatype, shape, tail.take(parameters.values["binary_data_size"], place))
    values = _flat(asked.get("data"), place)
    if datatype == BYTES:
        values = _strings(values, place, encoded=parameters.text("content_type") == "base64")
    return from_list(name, datatype, shape, values)


def _output(output: Mapping[str, Any], number: int) -> tuple[Wanted, bool | None]:
    name = _text(output, "name", f"outputs[{number}].name")
    parameters = Parameters(f"outputs.{name}", _object(output, "parameters"))
    parameters.refuse_shared_memory()
    return Wanted(name, parameters.classes()), parameters.flag("binary_data")


def _described(tensor: Tensor, *, as_bytes: bool) -> tuple[dict[str, Any], bytes]:
    about = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    if as_bytes:
        data = to_raw(tensor)
        return {**about, "parameters": {"binary_data_size": len(data)}}, data
    if isinstance(tensor.elements, np.ndarray):
        if not np.isfinite(tensor.elements).all():
            raise InvalidInput(f"outputs.{tensor.name}", "JSON holds finite numbers only; ask for binary_data", "NaN")
        return {**about, "data": tensor.elements.ravel().tolist()}, b""
    return {**about, "data": [each.decode() for each in tensor.elements]}, b""


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise InvalidInput(key, "a JSON object", type(value).__name__)
    return value


def _objects(parent: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    value = parent.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidInput(key, "a list of JSON objects", type(value).__name__)
    return value


def _text(parent: Mapping[str, Any], key: str, place: str) -> str:
    value = parent.get(key, "")
    if not isinstance(value, str):
        raise InvalidInput(place, "text", repr(value))
    return value


def _shape(value: Any, place: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(side) is int for side in value):
        raise InvalidInput(f"{place}.shape", "a list of whole numbers", repr(value))
    return tuple(value)


def _flat(data: Any, place: str, depth: int = 0) -> list[Any]:
    """Elements in C order, from a flat list or nested ones."""
    if not isinstance(data, list) or depth > _MAX_DEPTH:
        raise InvalidInput(
            f"{place}.data", f"a list, nested at most {_MAX_DEPTH} deep, or binary_data_size", type(data)
        )
    if not any(isinstance(each, list) for each in data):
        return data
    return [element for each in data for element in _flat(each, place, depth + 1)]


def _strings(values: Sequence[Any], place: str, *, encoded: bool) -> list[Any]:
    """Strings as bytes: their UTF-8, or what their base64 stands for."""
    if not all(isinstance(each, str) for each in values):
        raise InvalidInput(f"{place}.data", "text for BYTES", "something else")
    try:
        return [base64.b64decode(each, validate=True) if encoded else each.encode() for each in values]
    except ValueError as error:  # of letters beyond ASCII it is not the one of binascii
        raise InvalidInput(f"{place}.data", "base64, as content_type says", error) from None
