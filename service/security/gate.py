"""Who somebody is, from what a request carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar

from service.core.access import ANYONE, NOBODY, Caller, Scope
from service.core.errors import Unauthenticated
from service.security.keys import KeyRing

#: Who the running call is from: for logs, and for what needs a further scope than the call itself.
CALLER: ContextVar[Caller] = ContextVar("caller", default=ANYONE)

_BEARER = "bearer "


class Gate:
    """Tells callers by API key, by token, or by the name in a client certificate that TLS has checked already.

    `tokens` tells whose a token is, or raises `Unauthenticated`.
    """

    def __init__(
        self,
        keys: Callable[[], KeyRing] | None = None,
        tokens: Callable[[str], Caller] | None = None,
        certified: frozenset[Scope] = frozenset(),
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._certified = certified

    @property
    def certifies(self) -> bool:
        """Whether a certificate may do in place of a key: then TLS has asked every client for one."""
        return bool(self._certified)

    def identify(self, headers: Mapping[str, str], certificate: str = "") -> Caller:
        """Who sent these headers (names in lower case). Raises `Unauthenticated` for proof that does not hold.

        Without any proof it is nobody, who may still call what is open to all.
        """
        proof = _proof(headers)
        if proof:
            return self._known(proof)
        return Caller(certificate, self._certified) if certificate else NOBODY

    def _known(self, proof: str) -> Caller:
        if self._tokens and proof.count(".") == 2:
            return self._tokens(proof)
        caller = self._keys().find(proof) if self._keys else None
        if caller is None:
            raise Unauthenticated("authorization: no such API key")
        return caller


def admit(gate: Gate, scope: Scope | None, headers: Mapping[str, str], certificate: str = "") -> Caller:
    """Who calls, if they may; raises `Unauthenticated` or `Forbidden`. What is open to all asks for no proof."""
    if scope is None:
        return NOBODY
    caller = gate.identify(headers, certificate)
    if caller is NOBODY:
        raise Unauthenticated("authorization: an API key or a token is needed, as 'authorization: Bearer ...'")
    caller.require(scope)
    return caller


def _proof(headers: Mapping[str, str]) -> str:
    bearer = headers.get("authorization", "")
    return bearer[len(_BEARER) :].strip() if bearer.lower().startswith(_BEARER) else headers.get("x-api-key", "")
