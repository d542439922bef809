"""From the input tensor to pictures, one for each entry of its batch axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidInput
from service.core.messages import Payload
from service.core.spec import INPUT_NAME, Spec
from service.oip.messages import Tensor
from service.oip.tensors import BYTES

#: How far a normalised pixel may be from a whole one; rounding in float32 takes it a thousandth as far.
_TOLERANCE = 1 / 16


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is to be classified: encoded files, or with `pixels` the network's own input, uint8 in C order."""

    images: tuple[Payload, ...]
    pixels: bool


def pictures(inputs: Sequence[Tensor], spec: Spec, max_batch: int) -> Pictures:
    """The pictures of a request. Raises `InvalidInput` for inputs that are not the model's.

    The one input, `image`, is any of
    BYTES [N] or [N, 1]: encoded files of any size;
    UINT8 [N, height, width, channels]: the network's own pixels;
    FP32 [N, height, width, channels]: the same pixels, 0 to 255;
    FP32 [N, channels, height, width]: pixels normalised as the model's spec says, as PyTorch pipelines make them.
    The graph takes uint8 and normalises inside, so floats must stand for whole pixels.
    """
    names = [tensor.name for tensor in inputs]
    if names != [INPUT_NAME]:
        raise InvalidInput("inputs", f"the one input {INPUT_NAME!r}", names)
    tensor = inputs[0]
    if tensor.shape[0] > max_batch:
        limit = f"inference request batch-size must be <= {max_batch} for {spec.name!r}"
        raise InvalidInput(f"inputs.{INPUT_NAME}.shape", limit, tensor.shape[0])
    if not isinstance(tensor.elements, np.ndarray):
        return Pictures(_files(tensor), pixels=False)
    if tensor.shape[1:] not in _shapes(tensor.datatype, spec):
        raise _mismatch(tensor, spec)
    batch = tensor.elements if tensor.datatype == "UINT8" else _whole(_as_pixels(tensor.elements, spec))
    data = np.ascontiguousarray(batch).data.cast("B")
    size = len(data) // len(batch)
    return Pictures(tuple(data[i * size : (i + 1) * size] for i in range(len(batch))), pixels=True)


def _files(tensor: Tensor) -> tuple[bytes, ...]:
    if tensor.shape[1:] not in {(), (1,)}:
        limit = f"[N] or [N, 1] for {BYTES}, one encoded picture each"
        raise InvalidInput(f"inputs.{INPUT_NAME}.shape", limit, list(tensor.shape))
    return tuple(tensor.elements)


def _as_pixels(values: NDArray[np.float32], spec: Spec) -> NDArray[np.float32]:
    """Pixels [N, height, width, channels] from either layout of floats."""
    if values.shape[1:] == spec.shape:
        return values
    how = spec.preprocess
    shape = (1, -1, 1, 1)
    mean, std = (np.asarray(each, np.float32).reshape(shape) for each in (how.mean, how.std))
    return ((values * std + mean) / np.float32(how.scale)).transpose(0, 2, 3, 1)


def _whole(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Floats that stand for pixels, as those. NaN fails both comparisons."""
    nearest = np.rint(values)
    fits = (np.abs(values - nearest) <= _TOLERANCE) & (nearest >= 0) & (nearest <= 255)
    if not fits.all():
        worst = float(values[~fits][0])
        limit = "FP32 that stands for whole pixels of 0 to 255, plain [N, H, W, C] or normalised [N, C, H, W]"
        raise InvalidInput(f"inputs.{INPUT_NAME}", limit, f"a pixel of {worst:g}")
    return nearest.astype(np.uint8)


def _shapes(datatype: str, spec: Spec) -> tuple[tuple[int, ...], ...]:
    height, width, channels = spec.shape
    return (spec.shape, (channels, height, width)) if datatype == "FP32" else (spec.shape,)


def _mismatch(tensor: Tensor, spec: Spec) -> InvalidInput:
    expected = " or ".join(str(["N", *shape]).replace("'", "") for shape in _shapes(tensor.datatype, spec))
    return InvalidInput(f"inputs.{INPUT_NAME}.shape", f"{expected} for {tensor.datatype}", list(tensor.shape))
