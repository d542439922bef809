"""The reference that everything is measured against: ONNX Runtime's CPU provider in fp32."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.core.tuning import Setting
from service.engine.session import infer, open_session

_BATCH = 64


def logits(model: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the ONNX file `model` makes of pixels [N, height, width, channels]: float32 [N, classes], N >= 1."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    session = open_session(model, Setting("cpu", "fp32", lanes=1, intra_op_threads=threads, batch=_BATCH))
    return np.concatenate([infer(session, batch) for batch in batches(pixels)])


def batches(pixels: NDArray[np.uint8], size: int = _BATCH) -> Iterator[NDArray[np.uint8]]:
    """The pixels in pieces small enough for any machine's memory."""
    return (pixels[start : start + size] for start in range(0, len(pixels), size))
