"""What ONNX Runtime takes by itself: `python -m tests.bench.bare_engine FILE PROVIDER PRECISION` prints MiB.

One session in an otherwise empty process, after a picture: what a server's own memory is to be compared with.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime as ort
import psutil

from service.core.tuning import Setting
from service.engine.providers import configuration


def main() -> None:
    """Load the file with the provider, run it once, and measure."""
    file, provider, precision = sys.argv[1:]
    setting = Setting(provider, precision, lanes=2, intra_op_threads=1, batch=1)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(file, options, providers=[configuration(setting)])
    (given,) = session.get_inputs()
    session.run(None, {given.name: np.zeros((1, *given.shape[1:]), np.uint8)})
    print(psutil.Process().memory_info().rss / 2**20)


if __name__ == "__main__":
    main()
