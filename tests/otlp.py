"""An OpenTelemetry collector for tests: takes spans by OTLP over gRPC, on a port of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc


@dataclass(frozen=True)
class Recorded:
    """One span as it arrived; ids are in hex, times in nanoseconds."""

    role: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    links: tuple[str, ...]
    failed: bool
    attributes: dict[str, Any]


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps every span."""

    port: int = 0
    spans: list[Recorded] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def Export(self, request: pb.ExportTraceServiceRequest, _context: object) -> pb.ExportTraceServiceResponse:  # noqa: N802
        with self.arrived:
            self.spans += _recorded(request)
            self.arrived.notify_all()
        return pb.ExportTraceServiceResponse()

    def trace(self, id: str, complete: Callable[[Sequence[Recorded]], bool]) -> dict[str, list[Recorded]]:
        """The spans of one trace by name, as soon as they are complete."""

        def found() -> list[Recorded]:
            return [span for span in self.spans if span.trace == id]

        with self.arrived:
            assert self.arrived.wait_for(lambda: complete(found()), timeout=60), found()
            return {name: [s for s in found() if s.name == name] for name in {span.name for span in found()}}


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens until the block ends."""
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)  # type: ignore[no-untyped-call]
    kept.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield kept
    finally:
        server.stop(0).wait()


def _recorded(request: pb.ExportTraceServiceRequest) -> Iterator[Recorded]:
    for resource in request.resource_spans:
        about = _values(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Recorded(
                    role=about["vitrine.role"],
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    links=tuple(link.span_id.hex() for link in span.links),
                    failed=span.status.code == span.status.STATUS_CODE_ERROR,
                    attributes=_values(span.attributes),
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
