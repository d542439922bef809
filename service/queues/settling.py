"""How a caller who waits in a queue is answered."""

from __future__ import annotations

import asyncio

from service.core.messages import Answer, Outcome


def settle(caller: asyncio.Future[Answer], outcome: Outcome) -> None:
    """Answer the caller, unless that has been done or the caller has left."""
    if caller.done():
        return
    if isinstance(outcome, Answer):
        caller.set_result(outcome)
    else:
        caller.set_exception(outcome)
