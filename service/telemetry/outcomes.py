"""How the end of anything is named in events."""

from __future__ import annotations

import asyncio

from service.core.errors import Code, ServiceError


def code_of(error: BaseException | None) -> Code | None:
    """The code of what ended it: None for success, `CANCELLED` where nobody waits any more, `FAILED` for a bug."""
    if error is None:
        return None
    if isinstance(error, ServiceError):
        return error.code
    return Code.CANCELLED if isinstance(error, (asyncio.CancelledError, GeneratorExit)) else Code.FAILED
