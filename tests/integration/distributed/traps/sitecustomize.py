"""Makes the engine of a worker's child process obey its test; Python imports this at start, from PYTHONPATH.

While the file that VITRINE_TEST_HOLD names exists, every run hangs, as a native library that deadlocks would; a
picture whose first pixel is 254 takes the process down with SIGSEGV, unless VITRINE_TEST_DEADLY is "no".
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

DEADLY = 254


def _trap() -> None:
    from service.engine.session import OnnxEngine  # noqa: PLC0415 - in a worker's child only

    run, hold = OnnxEngine.run, Path(os.environ["VITRINE_TEST_HOLD"])
    deadly = os.environ.get("VITRINE_TEST_DEADLY") != "no"

    def trapped(engine: OnnxEngine, batch: Any, *, alone: bool = False) -> Any:
        if deadly and (batch[:, 0, 0, 0] == DEADLY).any():
            os.kill(os.getpid(), signal.SIGSEGV)
        while hold.exists():
            time.sleep(0.01)
        return run(engine, batch, alone=alone)

    OnnxEngine.run = trapped  # type: ignore[method-assign, assignment]


if "service.commands.worker_child" in sys.orig_argv:
    _trap()
