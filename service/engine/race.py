"""Measuring one session: what it answers on the stored samples, and how fast it is with its lanes as real threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.core.spec import Task
from service.core.tuning import Setting
from service.engine.session import infer
from service.engine.store import Samples

#: Share of the stored samples whose decision must be that of CPU fp32.
MIN_TOP1 = 0.999
#: Largest allowed logit difference, as a share of the reference's logit range (largest minus smallest logit). The
#: exact precision only reorders sums; a reduced one rounds every activation to 8 (bf16) or 11 (fp16) bits.
TOLERANCE = {"fp32": 1e-3, "fp16": 0.01, "bf16": 0.05}

_AGREEMENT_BATCH = 4


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far logits are from the reference: the largest difference, and the share of equal decisions (0..1)."""

    max_logit_difference: float
    top1: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Rate with all lanes busy, and the p50 of one batch in milliseconds."""

    images_per_second: float
    latency_ms: float


def agreement(logits: NDArray[np.float32], reference: NDArray[np.float32], task: Task) -> Agreement:
    """Compare logits [N, classes]: the winner for one label of many, else each label's yes or no."""
    if task == "multiclass":
        same = logits.argmax(axis=1) == reference.argmax(axis=1)
    else:
        same = np.all((logits > 0) == (reference > 0), axis=1)
    # A NaN compares unequal to everything, so it must not hide in the maximum.
    difference = float(np.nan_to_num(np.abs(logits - reference), nan=np.inf).max())
    return Agreement(difference, float(same.mean()))


def objection(found: Agreement, reference: NDArray[np.float32], precision: str) -> str:
    """Why these answers may not be served; empty when they agree."""
    limit = TOLERANCE[precision] * float(np.ptp(reference))
    if found.top1 < MIN_TOP1:
        return f"top-1 agrees on {found.top1:.2%} of the samples, {MIN_TOP1:.1%} is required"
    if found.max_logit_difference > limit:
        return f"logits differ by up to {found.max_logit_difference:.3g}, {limit:.3g} is allowed for {precision}"
    return ""


def answers(session: ort.InferenceSession, samples: Samples, lanes: int) -> NDArray[np.float32]:
    """Logits [N, classes] of all samples, computed on `lanes` threads."""
    starts = range(0, len(samples.pixels), _AGREEMENT_BATCH)
    batches = [samples.pixels[start : start + _AGREEMENT_BATCH] for start in starts]
    with ThreadPoolExecutor(lanes) as pool:
        return np.concatenate(list(pool.map(lambda batch: infer(session, batch), batches)))


def measure(
    session: ort.InferenceSession, setting: Setting, pixels: NDArray[np.uint8], slot_s: float, *, alone: bool = False
) -> Speed:
    """Keep every hand busy for `slot_s` seconds, at least two batches each, after one that warms this batch size.

    `alone`: one hand only, hence one batch at a time. A batch that waits for its lane is not slow for that, so its time
    is that of the lane.
    """
    hands, lanes = (1, 1) if alone else (setting.hands, setting.lanes)
    batches = _batches(pixels, setting.batch)
    infer(session, batches[0])
    began = time.perf_counter()
    with ThreadPoolExecutor(hands) as pool:
        running = [pool.submit(_hand, session, batches[hand:] + batches[:hand], slot_s) for hand in range(hands)]
        latencies = [latency for hand in running for latency in hand.result()]
    took_s = time.perf_counter() - began
    return Speed(setting.batch * len(latencies) / took_s, float(np.median(latencies)) * 1e3 * lanes / hands)


def _hand(session: ort.InferenceSession, batches: Sequence[NDArray[np.uint8]], slot_s: float) -> list[float]:
    latencies: list[float] = []
    end = time.perf_counter() + slot_s
    for batch in cycle(batches):
        began = time.perf_counter()
        infer(session, batch)
        now = time.perf_counter()
        latencies.append(now - began)
        if now >= end and len(latencies) >= 2:
            break
    return latencies


def _batches(pixels: NDArray[np.uint8], size: int) -> list[NDArray[np.uint8]]:
    """At most eight different batches: enough that nobody profits from a warm cache of one."""
    count = max(1, min(8, len(pixels) // size))
    indexes = cycle(range(len(pixels)))
    return [pixels[list(islice(indexes, size))] for _ in range(count)]
