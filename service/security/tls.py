"""Certificates in files that may be renewed while the server runs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from service.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts: the server's certificate chain and private key, and who signs clients' certificates, if asked for."""

    chain: bytes
    key: bytes
    clients: bytes | None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates are. With `clients`, every client must show one that these authorities signed."""

    chain: Path
    key: Path
    clients: Path | None = None

    def paths(self) -> list[Path]:
        """All of them."""
        return [path for path in (self.chain, self.key, self.clients) if path]

    def read(self) -> Certificates:
        """The certificates; raises `InvalidInput` when a file cannot be read, or key and certificate do not fit."""
        self.context()
        try:
            return Certificates(
                self.chain.read_bytes(), self.key.read_bytes(), self.clients.read_bytes() if self.clients else None
            )
        except OSError as error:
            raise InvalidInput("tls", f"files must be readable ({error.strerror})", error.filename) from None

    def context(self) -> ssl.SSLContext:
        """A server's context with these certificates; raises `InvalidInput`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_into(context)
        if self.clients:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Use these certificates for connections that come from now on; raises `InvalidInput`."""
        try:
            context.load_cert_chain(self.chain, self.key)
            if self.clients:
                context.load_verify_locations(self.clients)
        except (ssl.SSLError, OSError) as error:
            files = ", ".join(map(str, self.paths()))
            raise InvalidInput("tls", f"must be PEM files of a certificate and its key ({error})", files) from None
