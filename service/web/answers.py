"""What HTTP handlers share: who asks, JSON of a message, and answers that may be cached."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.core.access import ANYONE
from service.core.errors import Refused
from service.security.gate import CALLER
from service.web.queries import Query

_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"


def who(request: Request) -> str:
    """Who asks, for limits and logs: the caller's name, or where nobody is asked for it the address."""
    caller = CALLER.get()
    if caller is not ANYONE:
        return caller.name
    return request.client.host if request.client else "unknown"


def as_json(message: Message) -> Any:
    """The proto3 JSON of a message, with the fields' own names, zeros and empty lists included."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def of_message(message: Message, status: int = 200) -> JSONResponse:
    """A message as the answer."""
    return JSONResponse(as_json(message), status)


@dataclass(frozen=True, slots=True)
class Cached:
    """How an answer that depends on nothing but a model file and the request's own text may be kept.

    Its tag is known before it is computed. Where the request names the file by its digest, the answer never changes.
    """

    tag: str
    control: str

    @classmethod
    def of(cls, request: Request, query: Query, digest: str) -> Cached:
        """For a request that the file with `digest` answers; raises `Refused` when another file was meant."""
        if query.digest not in {"", digest}:
            raise Refused(f"digest: the model that is served is {digest}, asked was {query.digest}")
        asked = f"{digest} {request.url.path}?{sorted(request.query_params.items())}"
        return cls(f'"{hashlib.sha256(asked.encode()).hexdigest()[:32]}"', _FOR_EVER if query.digest else _ASK_AGAIN)

    @property
    def headers(self) -> Mapping[str, str]:
        """To be sent with the answer."""
        return {"etag": self.tag, "cache-control": self.control}

    def unchanged(self, request: Request) -> Response | None:
        """The short answer for whoever has the long one already."""
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        return Response(status_code=304, headers=dict(self.headers)) if self.tag in known else None
