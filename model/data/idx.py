"""IDX, the file format of MNIST: a big-endian header, then the raw array.

Two zero bytes, one byte for the type (8: unsigned byte), one for the number of axes, a 32-bit size per axis.
Source: https://yann.lecun.com/exdb/mnist (section "file formats").
"""

from __future__ import annotations

import gzip
import struct
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput

UNSIGNED_BYTE = 8


def read(path: Path) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes, gzipped if the name ends in `.gz`.

    Raises `InvalidInput` naming the file for anything but exactly one whole array; `OSError` if it cannot be read.
    """
    raw = path.read_bytes()
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, gzip.BadGzipFile) as error:
            raise InvalidInput(str(path), "must be gzip", error) from None
    return parse(raw, str(path))


def parse(raw: bytes, field: str) -> NDArray[np.uint8]:
    """The array in `raw`; `field` names it in errors."""
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise InvalidInput(field, "an IDX file starts with two zero bytes, a type and a number of axes", raw[:4])
    kind, axes = raw[2], raw[3]
    if kind != UNSIGNED_BYTE:
        raise InvalidInput(field, "the IDX type must be 8 (unsigned byte)", kind)
    start = 4 + 4 * axes
    if axes == 0 or len(raw) < start:
        raise InvalidInput(field, f"an IDX header of {axes} axes has {start} bytes", len(raw))
    shape = struct.unpack_from(f">{axes}I", raw, 4)
    if len(raw) != start + prod(shape):
        raise InvalidInput(field, f"an IDX file of shape {list(shape)} has {start + prod(shape)} bytes", len(raw))
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()  # writable, as torch wants it


def dump(array: NDArray[np.uint8]) -> bytes:
    """The IDX file of an array."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + np.ascontiguousarray(array).tobytes()
