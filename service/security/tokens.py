"""JSON Web Tokens of an identity provider (OpenID Connect), checked against its public keys from a file (RFC 7517)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import jwt

from service.core.access import Caller, Scope
from service.core.errors import InvalidInput, Unauthenticated

#: Signatures by private keys only: with a shared secret, whoever can check a token could also make one.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_CLOCKS_DIFFER_S = 30


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens count, and for whom they must be made."""

    issuer: str
    audience: str


def parse_keys(text: str) -> jwt.PyJWKSet:
    """The public keys of an identity provider; raises `InvalidInput`."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise InvalidInput("jwt_keys", "must be a JSON Web Key Set", "no object")
        return jwt.PyJWKSet.from_dict(found)
    except (jwt.PyJWTError, ValueError) as error:
        raise InvalidInput("jwt_keys", "must be a JSON Web Key Set", error) from None


class Tokens:
    """Turns tokens into callers: named by `sub`, allowed what `scope` (or `scp`) lists and Vitrine knows."""

    def __init__(self, issuer: Issuer, keys: Callable[[], jwt.PyJWKSet]) -> None:
        self._issuer = issuer
        self._keys = keys

    def caller(self, token: str) -> Caller:
        """Who the token was made for; raises `Unauthenticated` saying what is wrong with it."""
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=_ALGORITHMS,
                issuer=self._issuer.issuer,
                audience=self._issuer.audience,
                leeway=_CLOCKS_DIFFER_S,
                options={"require": ["exp", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"authorization: the token does not count: {error}") from None
        return Caller(str(claims["sub"]), _known(claims.get("scope", claims.get("scp", ()))))

    def _key(self, token: str) -> jwt.PyJWK:
        wanted = jwt.get_unverified_header(token).get("kid")
        keys = self._keys().keys
        if wanted is None and len(keys) == 1:
            return keys[0]
        for key in keys:
            if key.key_id == wanted:
                return key
        raise jwt.InvalidKeyError("it was signed with a key that is not known here")


def _known(listed: object) -> frozenset[Scope]:
    """Tokens also carry scopes that are meant for others; a claim that is neither text nor a list holds none."""
    names = listed.split() if isinstance(listed, str) else listed
    return frozenset(scope for scope in Scope if scope.value in names) if isinstance(names, list) else frozenset()
