"""Bytes on sockets, as somebody sends them who keeps to no protocol: HTTP/1.1 and HTTP/2 by hand."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
#: Of SETTINGS and PING: the answer to the other side's.
ACK = 1


def connect(address: str) -> socket.socket:
    """To HOST:PORT or http://HOST:PORT."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def closed(connection: socket.socket) -> bool:
    """Read until the other side closes; raises `TimeoutError` when it does not."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        pass
    return True


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """One frame of HTTP/2 (RFC 9113, 4.1)."""
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def literal(name: str, value: str) -> bytes:
    """One header, spelled out without any index (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(_length(len(text)) + text for text in (name.encode(), value.encode()))


def _length(value: int) -> bytes:
    """An integer with a prefix of 7 bits (RFC 7541, 5.1)."""
    if value < 127:
        return bytes([value])
    rest, parts = value - 127, [127]
    while rest >= 128:
        parts.append(rest % 128 + 128)
        rest //= 128
    return bytes([*parts, rest])


def call(method: str, extra: Iterable[tuple[str, str]] = ()) -> bytes:
    """The headers of a gRPC call."""
    usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", method),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    return b"".join(literal(*each) for each in (*usual, *extra))
