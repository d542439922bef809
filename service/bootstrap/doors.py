"""The ways into a front-end: the gRPC and the HTTP port, and looking in through both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.api.introspection import IntrospectionServicer
from service.bootstrap.guards import Guards
from service.bootstrap.parts import VERSION, http_patience
from service.bootstrap.traces import Traces
from service.config import Config, host_and_port
from service.core.allowance import Allowance
from service.core.events import Emit
from service.core.use_cases import Choose, Classifying, ClassifyingAll, Diagnosing, Introspecting, ModelCatalog
from service.introspect.desk import Desk
from service.oip.inference import About, OpenInference
from service.oip.layers import NoLayers, TappedLayers
from service.telemetry.metrics import Metrics
from service.web.app import create_app
from service.web.classification import ClassificationTwin
from service.web.introspection import IntrospectionTwin
from service.web.open_inference import OpenInferenceTwin
from service.web.server import HttpServer
from service.web.status import Report


@dataclass(frozen=True, slots=True)
class Glass:
    """Looking in, by gRPC and by HTTP and as outputs of the Open Inference Protocol, at one desk."""

    grpc: IntrospectionServicer
    http: IntrospectionTwin
    layers: TappedLayers
    keep: Callable[[bytes], str]  #: takes a picture to where questions find it, and returns its id


def glass(
    config: Config,
    inside: Introspecting,
    health: Diagnosing,
    *,
    emit: Emit,
    rest: Callable[[], object],
    busy: Callable[[], bool],
) -> Glass:
    """The ways into `inside`, and to examine it.

    `rest` blocks, and gives back what only looking in needs; `busy` tells whether lanes of this process are at work.
    """
    desk = Desk(
        config.introspection_threads,
        config.introspection_waiting,
        allowance=Allowance(config.introspection_per_minute),
        emit=emit,
        busy=busy,
        rest=rest,
    )
    twin = IntrospectionTwin(inside, desk, config.max_image_bytes)
    return Glass(IntrospectionServicer(inside, desk, health=health), twin, TappedLayers(inside, desk), inside.keep)


def open_inference(
    config: Config,
    inside: ClassifyingAll,
    catalog: ModelCatalog,
    metrics: Metrics,
    glass: Glass | None,
    *,
    ready: Callable[[], tuple[bool, str]],
    choose: Choose,
) -> OpenInference:
    """The Open Inference Protocol, for both ports."""
    about = About(VERSION, config.max_batch_items)
    layers = glass.layers if glass else NoLayers()
    return OpenInference(about, inside, catalog, layers, metrics.statistics, ready=ready, choose=choose)


def http_server(
    config: Config,
    inside: Classifying,
    catalog: ModelCatalog,
    *,
    guarded: Guards,
    tracing: Traces,
    ready: Callable[[], tuple[bool, str]],
    metrics: Metrics,
    glass: Glass | None,
    standard: OpenInference,
    report: Report,
    choose: Choose,
) -> HttpServer:
    """The HTTP port: probes, metrics, and the twin of the API."""
    operations = [
        *ClassificationTwin(inside, catalog, config.max_image_bytes, choose).operations(),
        *(glass.http.operations() if glass else ()),
        *OpenInferenceTwin(standard, config.max_message_bytes).operations(),
    ]
    app = create_app(VERSION, catalog, ready, metrics.render, operations, report=report)
    around = tracing.around(guarded.around(app))
    return HttpServer(around, *host_and_port(config.http), tls=guarded.tls, patience=http_patience(config))
