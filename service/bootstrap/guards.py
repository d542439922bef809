"""Who may come in: TLS, callers and their pace, for both ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp

from service.api.gatekeeper import Gatekeeper
from service.config import Config, host_and_port
from service.core.access import Caller, is_loopback, scopes
from service.core.errors import InvalidInput
from service.core.ports import Pacing
from service.security import keys
from service.security.gate import Gate
from service.security.tls import TlsFiles
from service.security.watched import Watched
from service.web.gatekeeper import Gatekeeper as HttpGatekeeper


@dataclass(frozen=True, slots=True)
class Guards:
    """What stands in front of both ports. Without a `gate` nobody is asked who they are."""

    tls: TlsFiles | None
    gate: Gate | None
    pacing: Pacing

    def interceptors(self) -> list[Gatekeeper]:
        """For the gRPC server."""
        return [Gatekeeper(self.gate, self.pacing)] if self.gate else []

    def around(self, app: ASGIApp) -> ASGIApp:
        """The HTTP application behind the gate."""
        certified = self.tls is not None and self.tls.clients is not None
        return HttpGatekeeper(app, self.gate, self.pacing, certified=certified) if self.gate else app


def guards(config: Config, pacing: Pacing, doors: Sequence[str] = ("grpc", "http")) -> Guards:
    """As configured, for these `doors`, which are fields of `config`.

    Raises `InvalidInput`, also where strangers could come in and nobody said that they may.
    """
    tls, gate = _tls(config), _gate(config)
    for field in () if config.insecure or (tls and gate) else doors:
        address: str = getattr(config, field)
        if not is_loopback(host_and_port(address)[0]):
            raise InvalidInput(
                field,
                "a public address needs TLS (tls_cert, tls_key) and callers that say who they are (keys_file, jwt_keys "
                "or tls_client_ca), or insecure where something in front of it sees to that",
                address,
            )
    return Guards(tls, gate, pacing)


def _tls(config: Config) -> TlsFiles | None:
    if config.tls_cert and config.tls_key:
        files = TlsFiles(config.tls_cert, config.tls_key, config.tls_client_ca)
        files.read()
        return files
    if config.tls_cert or config.tls_key or config.tls_client_ca:
        raise InvalidInput("tls_cert", "must be set together with tls_key", config.tls_cert)
    return None


def _gate(config: Config) -> Gate | None:
    """What asks callers who they are; None where nobody is asked."""
    ring = None
    if config.keys_file:
        ring = Watched("keys_file", config.keys_file, keys.parse).value
    elif config.keys:
        ring = partial(_same, keys.parse(config.keys.get_secret_value()))
    certified = scopes(config.tls_client_scopes) if config.tls_client_ca else frozenset()
    issued = _tokens(config)
    return Gate(ring, issued, certified) if ring or issued or certified else None


def _tokens(config: Config) -> Callable[[str], Caller] | None:
    if config.jwt_keys is None:
        return None
    from service.security import tokens  # noqa: PLC0415 - brings 9 MB of cryptography

    for field in ("jwt_issuer", "jwt_audience"):
        if not getattr(config, field):
            raise InvalidInput(field, "must be set together with jwt_keys, lest tokens made for others count", "none")
    public = Watched("jwt_keys", config.jwt_keys, tokens.parse_keys)
    return tokens.Tokens(tokens.Issuer(config.jwt_issuer, config.jwt_audience), public.value).caller


def _same(ring: keys.KeyRing) -> keys.KeyRing:
    return ring
