"""How long a call may take."""

from __future__ import annotations

import time

from service.api.guard import Context
from service.core.messages import NEVER


def deadline_of(context: Context) -> float:
    """The caller's deadline in seconds of this process's monotonic clock, `NEVER` without one."""
    remaining_s = context.time_remaining()
    return NEVER if remaining_s is None else time.monotonic() + remaining_s
