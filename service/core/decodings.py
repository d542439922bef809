"""Feature maps read back from the bytes of `encodings`."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from service.core.encodings import Encoded, Kind
from service.core.graph import Array


def decode(encoded: Encoded, kind: Kind) -> Array:
    """The values [channels, height, width] of every kind that holds numbers.

    UINT8 comes back as float32, with NaN where the bytes could not say what there was. STATISTICS and PNG hold no
    numbers: their result has no channels.
    """
    match kind:
        case Kind.FLOAT32:
            return np.frombuffer(encoded.data, "<f4").reshape(encoded.shape)
        case Kind.FLOAT16:
            return np.frombuffer(encoded.data, "<f2").reshape(encoded.shape)
        case Kind.STORED:
            stored = np.dtype(encoded.dtype or "float32").newbyteorder("<")
            return np.frombuffer(encoded.data, stored).reshape(encoded.shape)
        case Kind.NPY:
            values: Array = np.load(io.BytesIO(encoded.data), allow_pickle=False)[0]
            return values
        case Kind.UINT8:
            return _from_uint8(encoded)
        case _:
            return np.empty((0, *encoded.shape[1:]), np.float32)


def _from_uint8(encoded: Encoded) -> Array:
    levels = np.frombuffer(encoded.data, np.uint8).reshape(encoded.shape)
    values = (_each(encoded.offset) + _each(encoded.scale) * levels).astype(np.float32)
    values.ravel()[list(encoded.not_finite)] = np.nan
    return values


def _each(numbers: Sequence[float]) -> Array:
    """One number a channel, or one for all."""
    return np.array(numbers, np.float64).reshape(-1, 1, 1)
