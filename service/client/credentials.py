"""How a client proves who it is, and knows whom it talks to."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from service.core.access import is_loopback
from service.core.errors import InvalidInput

#: For `Credentials.tls`: the authorities that this system trusts.
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key or token, and TLS.

    `tls` is a PEM file with the authorities to trust, "system" for those of this system, or empty for no encryption; a
    key is sent in the clear to this very machine only. `certificate` and `private_key` are PEM files for servers that
    ask their clients for one. `server_name` is what the server's certificate says, where that is not its address.
    """

    api_key: str = ""
    tls: str = ""
    certificate: Path | None = None
    private_key: Path | None = None
    server_name: str = ""

    @classmethod
    def from_environment(cls) -> Self:
        """VITRINE_API_KEY, VITRINE_TLS, VITRINE_TLS_CERTIFICATE, VITRINE_TLS_PRIVATE_KEY, VITRINE_TLS_SERVER_NAME."""
        return cls(
            os.environ.get("VITRINE_API_KEY", ""),
            os.environ.get("VITRINE_TLS", ""),
            _path("VITRINE_TLS_CERTIFICATE"),
            _path("VITRINE_TLS_PRIVATE_KEY"),
            os.environ.get("VITRINE_TLS_SERVER_NAME", ""),
        )

    def channel(self, server: str, options: list[tuple[str, int | str]]) -> grpc.aio.Channel:
        """A channel to `server`, HOST:PORT. Raises `InvalidInput` when a file cannot be read or a key would leak."""
        if not self.tls and not self.api_key:
            return grpc.aio.insecure_channel(server, options)
        named = [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []
        secured = self._encrypted() if self.tls else _local(server)
        if self.api_key:
            secured = grpc.composite_channel_credentials(secured, grpc.access_token_call_credentials(self.api_key))
        return grpc.aio.secure_channel(server, secured, [*options, *named])

    def context(self) -> ssl.SSLContext:
        """The same trust, and the same certificate, for HTTPS. Raises `InvalidInput` when a file cannot be read."""
        try:
            context = ssl.create_default_context(cafile=None if self.tls in {"", SYSTEM} else self.tls)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:
            files = ", ".join(str(path) for path in (self.tls, self.certificate, self.private_key) if path)
            raise InvalidInput("tls", f"must be PEM files ({error})", files) from None
        return context

    def _encrypted(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            None if self.tls == SYSTEM else _read("tls", Path(self.tls)),
            _read("private_key", self.private_key) if self.private_key else None,
            _read("certificate", self.certificate) if self.certificate else None,
        )


def _local(server: str) -> grpc.ChannelCredentials:
    if not is_loopback(server.rpartition(":")[0].strip("[]")):
        raise InvalidInput("tls", "must be set (VITRINE_TLS) to send an API key to another machine", server)
    return grpc.local_channel_credentials(grpc.LocalConnectionType.LOCAL_TCP)


def _path(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _read(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(field, f"must be a readable file ({error.strerror})", path) from None
