"""What a test says when it has waited in vain."""

from __future__ import annotations

import inspect
from collections.abc import Callable


def overdue(condition: Callable[[], object], timeout_s: float) -> str:
    """That `condition` did not come true in `timeout_s` seconds, in the words of its own source."""
    name = getattr(condition, "__qualname__", repr(condition))
    said = " ".join(inspect.getsource(condition).split()) if "<lambda>" in name else name
    return f"not within {timeout_s:g} s: {said}"
