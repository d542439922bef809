"""HTTP connections that are not waited for without end, and of which there are no more than a limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True)
class Patience:
    """How many connections there may be at once, and the seconds within which a request must have arrived whole."""

    connections: int = 4096
    request_s: float = 60.0


class PatientProtocol(H11Protocol):
    """uvicorn's connection, closed when its next request takes too long to arrive, or when it is one too many.

    uvicorn itself waits for ever for the first request of a connection, and for the rest of any request. Time that
    the server takes to answer does not count.
    """

    patience = Patience()
    _until: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or close it."""
        super().connection_made(transport)
        if len(self.connections) > self.patience.connections:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Read on; what has begun must end in time."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The next request may come, or the rest of this one, which nobody waited for."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """One timer from the first byte that is missing until the last one is there."""
        if self.conn.their_state is not h11.IDLE and self.conn.their_state is not h11.SEND_BODY:
            self._forget()
        elif self._until is None and not self.transport.is_closing():
            self._until = self.loop.call_later(self.patience.request_s, self.transport.abort)

    def _forget(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None


def protocol(patience: Patience) -> type[H11Protocol]:
    """The class of connections, as uvicorn wants it."""
    return type("BoundedProtocol", (PatientProtocol,), {"patience": patience})
