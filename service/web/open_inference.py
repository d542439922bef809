"""The Open Inference Protocol v2 over HTTP, under `/v2`: JSON, with tensors as JSON or behind it as bytes."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.core.errors import NotReady, Overloaded, ServiceError, Unsupported, brief
from service.oip.inference import OpenInference
from service.web.bodies import body_of
from service.web.errors import STATUS
from service.web.open_inference_json import LENGTH, json_object, read_request, write_response
from service.web.operations import MODEL, Handler, Operation

#: HTTP has no deadlines: this is how long a request without the parameter `timeout` may take.
TIMEOUT_S = 30.0
_VERSION = {"description": "version of the model", "schema": {"type": "string"}}


class OpenInferenceTwin:
    """The same answers as over gRPC, and its errors as `{"error": "..."}`."""

    def __init__(self, inside: OpenInference, max_bytes: int) -> None:
        self._inside = inside
        self._max_bytes = max_bytes

    def operations(self) -> Sequence[Operation]:
        """What can be asked. Everything about a model can be asked of one version too."""
        return (
            _operation("GET", "/v2", "serverMetadata", "Name, version and extensions", self.server),
            _operation("GET", "/v2/health/live", "serverLive", "Whether the process is up", self.live),
            _operation("GET", "/v2/health/ready", "serverReady", "Whether some model can be asked", self.ready),
            _operation("GET", "/v2/models/stats", "statistics", "Statistics of every model", self.statistics),
            *_both("GET", "", "modelMetadata", "Inputs and outputs", self.metadata),
            *_both("GET", "/ready", "modelReady", "Whether the model can be asked", self.model_ready),
            *_both("GET", "/config", "modelConfig", "How the model is served", self.config),
            *_both("GET", "/stats", "modelStatistics", "What was counted since the start", self.statistics),
            *_both("POST", "/infer", "modelInfer", "Tensors in, tensors out", self.infer),
            _operation("POST", "/v2/repository/index", "repositoryIndex", "Every version, with its state", self.index),
            _operation("POST", "/v2/repository/models/{model}/load", "repositoryLoad", "Load a model", self.load),
            _operation("POST", "/v2/repository/models/{model}/unload", "repositoryUnload", "Unload it", self.unload),
            *_not_offered(),
        )

    async def server(self, _request: Request) -> Response:
        """`ServerMetadata`."""
        return JSONResponse(self._inside.server())

    async def live(self, _request: Request) -> Response:
        """A server that answers is live."""
        return Response()

    async def ready(self, _request: Request) -> Response:
        """Whether some model can be asked."""
        if not self._inside.ready():
            raise NotReady("no model is ready")
        return Response()

    async def model_ready(self, request: Request) -> Response:
        """Whether this model can be asked."""
        model, version = _named(request)
        if not self._inside.model_ready(model, version):
            raise NotReady(f"model: {model} is not ready")
        return Response()

    async def metadata(self, request: Request) -> Response:
        """`ModelMetadata`."""
        return JSONResponse(self._inside.metadata(*_named(request)))

    async def config(self, request: Request) -> Response:
        """`ModelConfig`."""
        return JSONResponse(self._inside.config(*_named(request)))

    async def statistics(self, request: Request) -> Response:
        """`ModelStatistics`."""
        return JSONResponse({"model_stats": self._inside.statistics(*_named(request))})

    async def index(self, request: Request) -> Response:
        """`RepositoryIndex`."""
        asked = json_object(await body_of(request, self._max_bytes) or b"{}")
        return JSONResponse(self._inside.index(only_ready=asked.get("ready") is True))

    async def load(self, request: Request) -> Response:
        """Load the newest version and wait until it is ready."""
        asked = json_object(await body_of(request, self._max_bytes) or b"{}")
        if asked.get("parameters"):
            raise Unsupported("parameters: models are published as files; configurations and files are not taken here")
        await self._inside.load(request.path_params["model"])
        return Response()

    async def unload(self, request: Request) -> Response:
        """Unload every version, after what is in flight."""
        await self._inside.unload(request.path_params["model"])
        return Response()

    async def infer(self, request: Request) -> Response:
        """Tensors in, tensors out."""
        body = await body_of(request, self._max_bytes)
        asked, binary = read_request(*_named(request), body, request.headers.get(LENGTH))
        response = await self._inside.infer(asked, time.monotonic() + TIMEOUT_S, "v2/infer")
        return write_response(response, binary)


def _named(request: Request) -> tuple[str, str]:
    places = request.path_params
    return places.get("model", ""), places.get("version", "")


def _both(method: str, path: str, name: str, summary: str, handler: Handler) -> tuple[Operation, Operation]:
    return (
        _operation(method, "/v2/models/{model}" + path, name, summary, handler),
        _operation(method, "/v2/models/{model}/versions/{version}" + path, f"{name}Version", summary, handler),
    )


def _operation(method: str, path: str, name: str, summary: str, handler: Handler) -> Operation:
    known = {"model": MODEL, "version": _VERSION}
    places = {place: about for place, about in known.items() if f"{{{place}}}" in path}
    return Operation(method, path, name, summary, _told(handler), places=places)


def _not_offered() -> Sequence[Operation]:
    """Triton's other extensions: a client that tries one is told that there is none, instead of a bare 404."""
    extensions = ("systemsharedmemory", "cudasharedmemory", "trace", "logging")
    return tuple(
        _operation(method, f"/v2/{name}/{{rest:path}}", f"{name}{method}", "Not offered", _refusal(name))
        for name in extensions
        for method in ("GET", "POST")
    )


def _refusal(name: str) -> Handler:
    async def refuse(_request: Request) -> Response:
        raise Unsupported(f"{name}: this extension is not offered; /v2 lists those that are")

    return refuse


def _told(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Errors in the protocol's own form."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ServiceError as error:
            headers: dict[str, Any] = (
                {"retry-after": str(math.ceil(error.retry_after_s))} if isinstance(error, Overloaded) else {}
            )
            return JSONResponse({"error": brief(str(error))}, STATUS[error.code], headers=headers)
        except HTTPException as error:
            return JSONResponse({"error": error.detail}, error.status_code)

    return answer
