"""What the HTTP port can be asked: each operation is declared once, and is both a route and its description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.web.queries import Query

Handler = Callable[[Request], Awaitable[Response]]

_PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "status", "message"],
            "properties": {
                "code": {"type": "integer", "description": "the HTTP status"},
                "status": {"type": "string"},
                "message": {"type": "string", "description": "what was wrong, with field, limit and value"},
                "field": {"type": "string", "description": "where it is a caller's mistake in one field"},
                "limit": {"type": "string", "description": "what would have been right"},
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `path` is starlette's, `media` what is answered, `places` the parts of the path.

    With `takes_picture` the body of the request is an encoded picture.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    query: type[Query] = Query
    media: Sequence[str] = ("application/json",)
    places: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    takes_picture: bool = False

    def route(self) -> Route:
        """As starlette wants it."""
        return Route(self.path, self.handler, methods=[self.method])


MODEL: Mapping[str, Any] = {"description": "name of the model", "schema": {"type": "string"}}


def openapi(version: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """The description of all operations, as OpenAPI 3.1 has it."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = operation.path.replace(":path}", "}")
        paths.setdefault(path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vitrine",
            "version": version,
            "description": "The HTTP twin of vitrine.v1: JSON is the proto3 mapping of its messages, with the fields' "
            "own names; 64-bit integers are strings there.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


def _described(operation: Operation) -> dict[str, Any]:
    places = [{"name": name, "in": "path", "required": True, **known} for name, known in operation.places.items()]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": places + operation.query.parameters(),
        "responses": {
            "2XX": {"description": "the answer", "content": {media: {} for media in operation.media}},
            "default": {
                "description": "what went wrong, and whose fault it is",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if operation.takes_picture:
        described["requestBody"] = {"required": True, "content": {media: {} for media in _PICTURES}}
    return described
