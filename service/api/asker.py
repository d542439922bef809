"""Who asks, for limits and logs: the address, until calls carry names."""

from __future__ import annotations

from service.api.guard import Context


def who(context: Context) -> str:
    """The caller's address without its port, which is another one for every connection."""
    peer = str(context.peer())
    return peer.rpartition(":")[0] if peer.startswith("ipv") else peer
