"""API keys: made by `vitrine keys new`, kept as hashes only.

A key is 256 random bits, so that one round of SHA-256 protects it: what slow hashes add, they add to passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.core.access import Allowance, Caller, Scope
from service.core.errors import InvalidInput

#: How a key begins, so that people and leak scanners know one when they see it.
PREFIX = "vitrine_"

_Positive = Annotated[float, Field(gt=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.@-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope] = frozenset({Scope.INFER})
    requests_per_s: _Positive = Allowance().requests_per_s
    bytes_per_s: _Positive = Allowance().bytes_per_s
    concurrent: _Positive = Allowance().concurrent

    def caller(self) -> Caller:
        """Who the key stands for."""
        return Caller(self.name, self.scopes, Allowance(self.requests_per_s, self.bytes_per_s, self.concurrent))


_ENTRIES: TypeAdapter[list[_Entry]] = TypeAdapter(list[_Entry])


class KeyRing:
    """The callers of a set of keys, by the hashes of these."""

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        self._callers = tuple(callers.items())

    def find(self, key: str) -> Caller | None:
        """Whose key this is. Every hash is compared, each in constant time: how long it takes tells nothing."""
        presented = digest(key).encode()
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, presented):
                found = caller
        return found


def parse(text: str) -> KeyRing:
    """A key ring from YAML (or JSON): a list of name, sha256, scopes and limits. Raises `InvalidInput`."""
    try:
        entries = _ENTRIES.validate_python(yaml.safe_load(text) or [])
    except yaml.YAMLError as error:
        raise InvalidInput("keys", "must be YAML", error) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        # The value is not repeated: who mistakes this file's format may have written a key into it.
        raise InvalidInput(f"keys.{place}", first["msg"], "something else") from None
    _check_unique("name", (entry.name for entry in entries))
    _check_unique("sha256", (entry.sha256 for entry in entries))
    return KeyRing({entry.sha256.encode(): entry.caller() for entry in entries})


def new(name: str, scopes: Sequence[Scope], limits: Mapping[str, float]) -> tuple[str, str]:
    """A new key, and the YAML to add to the file of keys; raises `InvalidInput`. The key itself is kept nowhere."""
    key = PREFIX + secrets.token_urlsafe(32)
    entry: dict[str, Any] = {"name": name, "sha256": digest(key), "scopes": sorted(map(str, scopes)), **limits}
    text: str = yaml.safe_dump([entry], sort_keys=False)
    parse(text)
    return key, text


def digest(key: str) -> str:
    """How a key is kept: SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def _check_unique(field: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InvalidInput(f"keys.{field}", "must be given once", value)
        seen.add(value)
