"""What ties a worker's child process to its supervisor: two pipes, and a wish of the kernel.

The supervisor closes the child's stdin to have it drain. The child writes a line to its stdout every `BEAT_S` seconds:
an empty one while all is well, or why it must be killed. Silence says that its event loop stands still.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable

BEAT_S = 0.5
_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies. Elsewhere than on Linux the closed stdin drains it."""
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(128 + signal.SIGKILL)


async def hold(stop: asyncio.Event, stuck: Callable[[], str], control: int, beats: int) -> None:
    """Report to the supervisor until cancelled; `stop` is set when it lets go of `control`, the stdin."""
    loop = asyncio.get_running_loop()
    os.set_blocking(beats, False)

    def readable() -> None:
        if not os.read(control, 4096):
            loop.remove_reader(control)
            stop.set()

    loop.add_reader(control, readable)
    try:
        while True:
            _say(beats, stuck())
            await asyncio.sleep(BEAT_S)
    finally:
        loop.remove_reader(control)


def _say(beats: int, line: str) -> None:
    # Where the supervisor is stopped, or gone, nobody reads: in the latter case stdin or the kernel tells.
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(beats, line.encode() + b"\n")
