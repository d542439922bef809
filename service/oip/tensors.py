"""Elements as they travel: one block of bytes, or a list in the one field (or JSON array) that fits the datatype."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput
from service.core.messages import Payload
from service.oip.messages import Tensor

#: The datatypes that an image classifier takes, with NumPy's name of the numbers: little-endian on the wire.
DTYPES: Mapping[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
BYTES = "BYTES"
DATATYPES = (*DTYPES, BYTES)

#: The field of `InferTensorContents` for each of them.
CONTENTS = {"UINT8": "uint_contents", "FP32": "fp32_contents", BYTES: "bytes_contents"}

MAX_ELEMENTS = 1 << 31
#: More than any tensor of pictures has, and few enough to multiply.
MAX_RANK = 8
_LENGTH = struct.Struct("<I")


def count(name: str, datatype: str, shape: Sequence[int]) -> int:
    """How many elements a tensor of that shape has; raises `InvalidInput` for an impossible shape or datatype."""
    field = f"inputs.{name}"
    if datatype not in DATATYPES:
        raise InvalidInput(f"{field}.datatype", f"one of {', '.join(DATATYPES)}", repr(datatype))
    if len(shape) > MAX_RANK:
        raise InvalidInput(f"{field}.shape", f"at most {MAX_RANK} dimensions", len(shape))
    if not shape or min(shape) < 1:
        raise InvalidInput(f"{field}.shape", "every dimension given, and 1 or more", list(shape))
    elements = math.prod(shape)
    if elements > MAX_ELEMENTS:
        raise InvalidInput(f"{field}.shape", f"at most {MAX_ELEMENTS} elements", list(shape))
    return elements


def from_raw(name: str, datatype: str, shape: tuple[int, ...], raw: Payload) -> Tensor:
    """A tensor from its bytes; numbers are not copied. Raises `InvalidInput` when they do not fill the shape."""
    elements = count(name, datatype, shape)
    if datatype == BYTES:
        return Tensor(name, datatype, shape, _filled(name, shape, elements, _split(name, raw)))
    dtype = DTYPES[datatype]
    expected = elements * dtype.itemsize
    if len(raw) != expected:
        limit = f"input byte size mismatch: expected {expected} bytes for {datatype} {list(shape)}"
        raise InvalidInput(f"inputs.{name}", limit, len(raw))
    return Tensor(name, datatype, shape, np.frombuffer(raw, dtype).reshape(shape))


def from_list(name: str, datatype: str, shape: tuple[int, ...], values: Sequence[Any]) -> Tensor:
    """A tensor from as many plain values, strings as bytes. Raises `InvalidInput` for other ones, or another number."""
    elements = _filled(name, shape, count(name, datatype, shape), values)
    if datatype == BYTES:
        return Tensor(name, datatype, shape, elements)
    return Tensor(name, datatype, shape, _numbers(name, datatype, elements).reshape(shape))


def to_raw(tensor: Tensor) -> bytes:
    """The tensor's elements as one block."""
    if isinstance(tensor.elements, np.ndarray):
        return tensor.elements.astype(tensor.elements.dtype.newbyteorder("<"), copy=False).tobytes()
    return b"".join(_LENGTH.pack(len(each)) + each for each in tensor.elements)


def _filled(name: str, shape: tuple[int, ...], expected: int, values: Sequence[Any]) -> Sequence[Any]:
    if len(values) != expected:
        raise InvalidInput(f"inputs.{name}", f"{expected} elements for shape {list(shape)}", len(values))
    return values


def _split(name: str, raw: Payload) -> Sequence[bytes]:
    """Strings, each after its length in 4 bytes."""
    return list(_strings(name, raw))


def _strings(name: str, raw: Payload) -> Iterator[bytes]:
    position, limit = 0, "each string after its length in 4 bytes, little-endian"
    while position < len(raw):
        start = position + _LENGTH.size
        if start > len(raw):
            raise InvalidInput(f"inputs.{name}", limit, f"a length that is cut off at byte {position}")
        (length,) = _LENGTH.unpack_from(raw, position)
        position = start + length
        if position > len(raw):
            raise InvalidInput(f"inputs.{name}", limit, f"a string of {length} bytes where {len(raw) - start} are left")
        yield bytes(raw[start:position])


def _numbers(name: str, datatype: str, values: Sequence[Any]) -> NDArray[Any]:
    # By type first: NumPy would make room for the longest text in every element.
    wide = np.asarray(values if {int, float}.issuperset(map(type, values)) else [None])
    if wide.dtype.kind not in "iuf":  # whole numbers of more than 64 bits are objects
        raise InvalidInput(f"inputs.{name}", f"numbers for {datatype}", "something else")
    if datatype == "UINT8" and not ((wide >= 0) & (wide <= 255) & (wide == np.floor(wide))).all():
        raise InvalidInput(f"inputs.{name}", "whole numbers of 0 to 255 for UINT8", f"{wide.min():g} to {wide.max():g}")
    return wide.astype(DTYPES[datatype])
