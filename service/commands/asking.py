"""How commands ask a server."""

from __future__ import annotations

from service.client import Client, Retry

#: A person at a terminal wants to know that nobody is there, and can ask again.
AT_ONCE = Retry(budget_s=0)


def client(server: str) -> Client:
    """Answers, or fails at once."""
    return Client(server, retry=AT_ONCE)
