"""Certificates, keys, and a real gRPC server that asks who calls, with a fake inside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from service.api.gatekeeper import Gatekeeper
from service.api.server import GrpcServer, GrpcSettings
from service.core.access import Scope
from service.security import keys
from service.security.gate import Gate
from service.security.pacing import LocalPacing
from service.security.tls import TlsFiles
from tests.fakes import FakeCatalog, FakeClassifier
from tests.guide import NINE


@dataclass(frozen=True)
class Pki:
    """An authority, and where its files for servers and clients lie."""

    authority: trustme.CA
    folder: Path

    @property
    def ca(self) -> Path:
        """The authority's own certificate."""
        path = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(path)
        return path

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Certificate chain and private key, for a server's hosts or a client's name."""
        made = self.authority.issue_cert(*(hosts or (f"{name}@example.com",)), common_name=name)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        key.write_bytes(made.private_key_pem.bytes())
        chain.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        return chain, key

    def server(self) -> TlsFiles:
        """What a server on this machine shows."""
        return TlsFiles(*self.issue("server", "127.0.0.1", "localhost"))


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(trustme.CA(), tmp_path)


@pytest.fixture
def inside() -> FakeClassifier:
    return FakeClassifier()


@dataclass(frozen=True)
class Ring:
    """Keys by the name of their caller, and the gate that knows them."""

    keys: dict[str, str]
    gate: Gate


@pytest.fixture
def ring() -> Ring:
    """`shop` may infer, `lab` also look into models, `slow` has two calls per second and one at once."""
    wanted = {
        "shop": ([Scope.INFER], {}),
        "lab": ([Scope.INFER, Scope.DEBUG], {}),
        "slow": ([Scope.INFER], {"requests_per_s": 2.0, "bytes_per_s": 1e6, "concurrent": 2.0}),
        "single": ([Scope.INFER], {"concurrent": 1.0}),
    }
    made = {name: keys.new(name, *about) for name, about in wanted.items()}
    known = keys.parse("".join(entry for _, entry in made.values()))
    gate = Gate(lambda: known, certified=frozenset({Scope.INFER}))
    return Ring({name: key for name, (key, _) in made.items()}, gate)


Open = Callable[..., Awaitable[str]]


@pytest.fixture
async def open_server(inside: FakeClassifier, ring: Ring) -> AsyncIterator[Open]:
    """Start a server with TLS or without; returns its address."""
    servers = []

    async def start(tls: TlsFiles | None = None) -> str:
        settings = GrpcSettings("127.0.0.1:0", 1 << 20, tls=tls)
        server = GrpcServer(
            settings,
            inside,
            FakeCatalog(),
            lambda _event: None,
            interceptors=[Gatekeeper(ring.gate, LocalPacing())],
        )
        servers.append(server)
        return f"127.0.0.1:{await server.start()}"

    yield start
    for server in servers:
        await server.stop(0)


@pytest.fixture
def nine() -> bytes:
    """The picture of the worked example: pixels 0 to 8."""
    return NINE
