"""How long it takes to get a picture ready for the network: `python -m tests.bench.image_speed`.

Prints microseconds per picture (best of several rounds), and how much of it runs beside another thread: the time of
two threads doing the same work each, over the time of one (1.0: wholly in parallel, 2.0: one after the other).
"""

from __future__ import annotations

import threading
import time
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from service.core import jpeg, resize
from service.core.image import Limits, decode, inspect, prepare
from tests.unit.core.encoded import encode, photo, spec

LIMITS = Limits()
IMAGENET = spec(3, 224, 224, resize="crop", crop_fraction=0.875, interpolation="bicubic")
DIGITS = spec(1, 28, 28)
CROP = (85.9375, 23.4375, 414.0625, 351.5625)  # of 500 x 375: what IMAGENET looks at


def cases() -> dict[str, Callable[[], Any]]:
    """What is measured, by the name it has in the table."""
    picture, digit = photo(375, 500), photo(28, 28, 1).squeeze()
    large = photo(3000, 4000)
    files = {name: encode(picture, name) for name in ("PNG", "WebP", "GIF", "BMP", "TIFF")}
    w1, camera = encode(picture, "JPEG", quality=88), encode(large, "JPEG", quality=80)
    digits = {name: encode(digit, name) for name in ("JPEG", "PNG")}
    kib = f"JPEG 500x375 {len(w1) / 1024:.0f} KiB"
    return {
        f"{kib}: inspect": partial(inspect, w1, LIMITS),
        f"{kib}: decode to RGB": partial(jpeg.decode, w1, LIMITS, gray=False),
        f"{kib}: decode to gray": partial(jpeg.decode, w1, LIMITS, gray=True),
        "500x375x3 crop -> 224x224 bicubic": partial(prepare, picture, IMAGENET),
        "  the same by Pillow": partial(resize._by_pillow, picture, CROP, (224, 224), "bicubic"),
        f"{kib} -> 224x224x3, all": partial(decode, w1, IMAGENET, LIMITS),
        "JPEG 4000x3000 -> 224x224x3, all": partial(decode, camera, IMAGENET, LIMITS),
        **{
            f"{name} 500x375 -> 224x224x3, all": partial(decode, data, IMAGENET, LIMITS) for name, data in files.items()
        },
        **{f"{name} 28x28 -> 28x28x1: inspect": partial(inspect, data, LIMITS) for name, data in digits.items()},
        **{f"{name} 28x28 -> 28x28x1, all": partial(decode, data, DIGITS, LIMITS) for name, data in digits.items()},
        "JPEG 500x375 -> 28x28x1, all": partial(decode, w1, DIGITS, LIMITS),
    }


def microseconds(work: Callable[[], Any]) -> float:
    """Time of one call, best of five rounds of at least 50 ms."""
    timer = timeit.Timer(work)
    count = max(1, round(0.05 / max(timer.timeit(1), 1e-6)))
    return min(timer.repeat(5, count)) / count * 1e6


def overlap(work: Callable[[], Any], once_us: float) -> float:
    """Time of two threads doing `work` each, over the time of one thread."""
    count = max(1, round(100_000 / once_us))

    def repeat() -> None:
        for _ in range(count):
            work()

    def run(threads: int) -> float:
        workers = [threading.Thread(target=repeat) for _ in range(threads)]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - start

    return float(np.median([run(2) / run(1) for _ in range(5)]))


def main() -> None:
    """Print the table."""
    table = Table("picture", "µs", "two threads / one", title="Getting a picture ready")
    for name, work in cases().items():
        once_us = microseconds(work)
        table.add_row(name, f"{once_us:,.0f}", f"{overlap(work, once_us):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
