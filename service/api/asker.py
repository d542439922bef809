"""Who asks, for limits and logs."""

from __future__ import annotations

from service.api.guard import Context
from service.core.access import ANYONE
from service.security.gate import CALLER


def who(context: Context) -> str:
    """The caller's name, or where nobody is asked for it the address, without its port: that one changes."""
    caller = CALLER.get()
    if caller is not ANYONE:
        return caller.name
    peer = str(context.peer())
    return peer.rpartition(":")[0] if peer.startswith("ipv") else peer
