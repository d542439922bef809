"""The gRPC server: our services, health and reflection on one port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from service.api.classifier import Bounds, ClassifierServicer
from service.api.credentials import server_credentials
from service.api.health import NOT_SERVING, SERVING, Health
from service.api.introspection import IntrospectionServicer
from service.api.jobs import JobsServicer
from service.api.models import ModelsServicer
from service.api.open_inference import NAME as OPEN_INFERENCE
from service.api.open_inference import OpenInferenceServicer, register
from service.api.predictions import PredictionsServicer
from service.api.reflected import NAMES as REFLECTION
from service.api.reflected import enable_reflection
from service.core.errors import Refused
from service.core.events import Emit
from service.core.routing import unrouted
from service.core.use_cases import Choose, Classifying, ModelCatalog, Routes
from service.rpc.pb.vitrine.v1 import (
    classifier_pb2,
    classifier_pb2_grpc,
    introspection_pb2,
    introspection_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    predictions_pb2,
    predictions_pb2_grpc,
)
from service.security.tls import TlsFiles

CLASSIFIER = classifier_pb2.DESCRIPTOR.services_by_name["Classifier"].full_name
INTROSPECTION = introspection_pb2.DESCRIPTOR.services_by_name["Introspection"].full_name
JOBS = jobs_pb2.DESCRIPTOR.services_by_name["Jobs"].full_name
PREDICTIONS = predictions_pb2.DESCRIPTOR.services_by_name["Predictions"].full_name
MODELS = models_pb2.DESCRIPTOR.services_by_name["Models"].full_name
#: Services that are asked about no picture.
_WITHOUT_PICTURES = frozenset({health.SERVICE_NAME, *REFLECTION, MODELS, PREDICTIONS})
_HANDSHAKE_MS = 20_000
#: Health of the server as a whole, by the convention of grpc.health.v1.
OVERALL = health.OVERALL_HEALTH


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """Where to listen, and how much one message or call may hold. `address` is HOST:PORT, port 0 for any free one.

    A client that is silent for `keepalive_s` is pinged, and given up when it does not answer for `keepalive_timeout_s`.
    One that pings by itself, with calls or without, may do so each `min_ping_interval_s`. Connections older than
    `max_connection_age_s` are asked to come again, so that load balancers can spread them; what they have in flight may
    take `max_connection_grace_s` more. 0 lets them stay. Of more than `max_connections` the last ones are closed; calls
    beyond `max_streams` of one connection wait at the client.
    """

    address: str = "127.0.0.1:50051"
    max_message_bytes: int = 64 * 1024 * 1024
    bounds: Bounds = field(default_factory=Bounds)
    keepalive_s: float = 60.0
    keepalive_timeout_s: float = 20.0
    min_ping_interval_s: float = 5.0
    max_connection_age_s: float = 0.0
    max_connection_grace_s: float = 300.0
    max_connections: int = 4096
    max_streams: int = 1024
    tls: TlsFiles | None = None


class GrpcServer:
    """Not serving at first; `set_serving` says so to the health checks, `stop` drains."""

    def __init__(
        self,
        settings: GrpcSettings,
        inside: Classifying,
        catalog: ModelCatalog,
        emit: Emit,
        introspection: IntrospectionServicer | None = None,
        *,
        jobs: JobsServicer | None = None,
        standard: OpenInferenceServicer | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        choose: Choose = unrouted,
        routes: Routes | None = None,
        predictions: PredictionsServicer | None = None,
    ) -> None:
        self._settings = settings
        self._health = Health(catalog)
        self._classifier = ClassifierServicer(inside, emit, settings.bounds, choose)
        self._models = ModelsServicer(catalog, routes)
        self._introspection = introspection
        self._jobs = jobs
        self._predictions = predictions
        self._standard = standard
        self._interceptors = interceptors
        self._services: list[str] = []
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """Listen, and return the port; raises `Refused` when the address cannot be had."""
        # Made here, since a server of grpc.aio belongs to the loop that runs when it is made.
        server = grpc.aio.server(interceptors=self._interceptors, options=_options(self._settings))
        classifier_pb2_grpc.add_ClassifierServicer_to_server(self._classifier, server)
        models_pb2_grpc.add_ModelsServicer_to_server(self._models, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [CLASSIFIER, MODELS, health.SERVICE_NAME, *REFLECTION]
        if self._introspection:
            introspection_pb2_grpc.add_IntrospectionServicer_to_server(self._introspection, server)
            names.append(INTROSPECTION)
        if self._jobs:
            jobs_pb2_grpc.add_JobsServicer_to_server(self._jobs, server)
            names.append(JOBS)
        if self._predictions:
            predictions_pb2_grpc.add_PredictionsServicer_to_server(self._predictions, server)
            names.append(PREDICTIONS)
        if self._standard:
            register(self._standard, server)
            names.append(OPEN_INFERENCE)
        enable_reflection(names, server)
        self._services = names
        try:
            port = _listen(server, self._settings)
        except RuntimeError as error:
            raise Refused(f"grpc: cannot listen on {self._settings.address}: {error}") from error
        await self.set_serving(serving=False)
        await server.start()
        self._server = server
        return port

    def in_flight(self) -> int:
        """Pictures whose callers wait just now."""
        return self._classifier.in_flight

    async def set_serving(self, *, serving: bool) -> None:
        """Tell health checks whether pictures may be sent. What needs none answers as soon as the server listens."""
        state = SERVING if serving else NOT_SERVING
        await self._health.follow()
        await self._health.set(OVERALL, state)
        for service in self._services:
            await self._health.set(service, SERVING if service in _WITHOUT_PICTURES else state)

    async def stop(self, grace_s: float) -> None:
        """Say "not serving", take no new calls, wait up to `grace_s` seconds for those in flight, cancel the rest."""
        await self._health.enter_graceful_shutdown()
        self._classifier.stop_streams()
        if self._standard:
            self._standard.stop_streams()
        if self._jobs:
            self._jobs.close()
        if self._server:
            await self._server.stop(grace_s)
        if self._introspection:
            self._introspection.close()


def _listen(server: grpc.aio.Server, settings: GrpcSettings) -> int:
    if settings.tls is None:
        return server.add_insecure_port(settings.address)
    return server.add_secure_port(settings.address, server_credentials(settings.tls))


def _options(settings: GrpcSettings) -> list[tuple[str, int]]:
    age_ms, grace_ms = (int(each * 1000) for each in (settings.max_connection_age_s, settings.max_connection_grace_s))
    ageing = [("grpc.max_connection_age_ms", age_ms), ("grpc.max_connection_age_grace_ms", grace_ms)] if age_ms else []
    return [
        *ageing,
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.max_concurrent_streams", settings.max_streams),
        # TLS and HTTP/2 must be agreed on by then; the library's own default is two minutes.
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        # Two servers on one port would share its connections at random, so the second one shall fail instead.
        ("grpc.so_reuseport", 0),
        # A client that went away without a word is noticed, and its place given free.
        ("grpc.keepalive_time_ms", int(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout_s * 1000)),
        # The one counts from when nothing was read, the other from the ping; its default is a minute.
        ("grpc.http2.ping_timeout_ms", int(settings.keepalive_timeout_s * 1000)),
        # Clients behind NAT keep idle connections open by pinging; that is no abuse. Those in Go and Java do so every
        # 10 s at most, where this library's own default would turn them away ("too_many_pings") below 5 minutes.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", int(settings.min_ping_interval_s * 1000)),
    ]
