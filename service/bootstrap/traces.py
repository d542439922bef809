"""Spans around what answers, where an endpoint for them is set. Without one, OpenTelemetry is not even imported."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import grpc
from starlette.types import ASGIApp

from service.bootstrap.parts import VERSION
from service.config import Config
from service.core.errors import InvalidInput
from service.core.messages import ModelKey
from service.dispatch import Dispatcher
from service.lane import Batches

if TYPE_CHECKING:
    from service.telemetry.traced import TracedAsking
    from service.telemetry.tracing import Tracer


@dataclass(frozen=True, slots=True)
class Traces:
    """Puts spans around what answers; all of it stays as it is without a `tracer`."""

    tracer: Tracer | None

    def behind(self) -> Sequence[AbstractAsyncContextManager[object]]:
        """What is to be left last, so that nothing is lost."""
        return [self.tracer] if self.tracer else []

    def asking(self, inside: Dispatcher) -> Dispatcher | TracedAsking:
        """Each request."""
        if self.tracer is None:
            return inside
        from service.telemetry.traced import TracedAsking  # noqa: PLC0415 - see above

        return TracedAsking(inside, self.tracer)

    def lane(self, model: ModelKey, lane: Batches) -> Batches:
        """Each batch, and the stages of its requests."""
        if self.tracer is None:
            return lane
        from service.telemetry.traced import TracedLane  # noqa: PLC0415 - see above

        return TracedLane(model, lane, self.tracer)

    def interceptors(self) -> Sequence[grpc.aio.ServerInterceptor]:
        """Each gRPC call."""
        if self.tracer is None:
            return ()
        from service.api.tracing import TracingInterceptor  # noqa: PLC0415 - see above

        return (TracingInterceptor(self.tracer),)

    def around(self, app: ASGIApp) -> ASGIApp:
        """Each HTTP request."""
        if self.tracer is None:
            return app
        from service.web.tracing import TracingMiddleware  # noqa: PLC0415 - see above

        return TracingMiddleware(app, self.tracer)


def traces(config: Config, role: str) -> Traces:
    """As configured. Raises `InvalidInput` for an endpoint without the extra that speaks to it."""
    if config.otlp_endpoint is None:
        return Traces(None)
    if not config.otlp_endpoint.startswith(("http://", "https://")):
        raise InvalidInput("otlp_endpoint", "must be http://HOST:PORT or https://HOST:PORT", config.otlp_endpoint)
    if find_spec("opentelemetry") is None:
        needed = "needs OpenTelemetry: pip install 'vitrine[telemetry]'"
        raise InvalidInput("otlp_endpoint", needed, config.otlp_endpoint)
    from service.telemetry.tracing import Tracer  # noqa: PLC0415 - see above

    return Traces(Tracer(config.otlp_endpoint, role, VERSION, config.trace_ratio))
