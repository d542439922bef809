"""Memory that loading a model leaves behind in the allocator."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def return_freed_memory() -> None:
    """Give freed heap pages back to the system.

    A session's graph optimiser leaves 50 to 80 MiB of freed pages with glibc (EfficientNet-Lite0, measured), which
    would count as the server's for as long as it lives. Where the C library is another one there is nothing to do.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
