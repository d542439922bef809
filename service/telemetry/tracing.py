"""Spans in OpenTelemetry's terms, sent by OTLP over gRPC. Imported only where an endpoint is set: off costs nothing.

One trace holds the call (a SERVER span, child of the caller's own), in it one `classify` per picture, and in that the
stages: `queue`, `decode`, `compute`, `reply`. A `batch` is one span in the trace of its first member, linked to all of
them; each `compute` is linked to its batch.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.core.messages import Answer, Lease, ModelKey, Outcome, Timing
from service.telemetry.context import TRACEPARENT

_PROPAGATOR = TraceContextTextMapPropagator()
#: How long a stop waits for spans that are not sent yet, in milliseconds.
_FLUSH_MS = 5_000

Outcomes = Sequence[tuple[Lease, Outcome]]


class Tracer:
    """Makes and sends spans; an async context manager, left after everything that makes them.

    `endpoint` is http://HOST:PORT of a collector, https:// with TLS. `role` says which process this is. `ratio` of the
    calls that bring no trace of their own are traced; those that do are as their caller decided.
    """

    def __init__(self, endpoint: str, role: str, version: str, ratio: float) -> None:
        resource = Resource.create(
            {
                "service.name": "vitrine",
                "service.version": version,
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
                "vitrine.role": role,
            }
        )
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)), resource=resource, shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("vitrine", version)

    async def __aenter__(self) -> Self:
        """Nothing is connected yet: the exporter does so when it has something to send."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what is not sent yet."""
        await asyncio.to_thread(self._provider.force_flush, _FLUSH_MS)
        await asyncio.to_thread(self._provider.shutdown)

    @contextmanager
    def call(self, name: str, headers: Mapping[str, str], attributes: Mapping[str, str]) -> Iterator[Span]:
        """One call of a caller, who may be tracing: then `headers` have `traceparent`."""
        parent = _PROPAGATOR.extract(headers, Context())
        with self._opened(self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)) as span:
            yield span

    @contextmanager
    def request(self, attributes: Mapping[str, str | int]) -> Iterator[Span]:
        """One picture, or several that are answered together, within the span that is open."""
        span = self._tracer.start_span("classify", _within(TRACEPARENT.get()), attributes=attributes)
        with self._opened(span):
            yield span

    def reply(self, span: Span, asked_ns: int, answers: Sequence[Answer]) -> None:
        """The way of these answers back from their lanes, which ends now; the clocks may be those of two hosts.

        What was computed before it was asked for at `asked_ns` came from a cache.
        """
        now_ns = time.time_ns()
        for answer in answers:
            if answer.timing.ended_ns > asked_ns:
                self._stage("reply", set_span_in_context(span), answer.timing.ended_ns, now_ns)

    def batch(self, model: ModelKey, began_ns: int, outcomes: Outcomes) -> None:
        """The stages of what a lane has just answered together, having begun at `began_ns`; some of it is traced."""
        members = [_Member(_within(lease.request.trace), lease, outcome) for lease, outcome in outcomes]
        first = next(member for member in members if member.traced)
        links = [Link(member.span_context) for member in members if member.traced]
        attributes: dict[str, str | int] = {"vitrine.model": str(model), "vitrine.batch.size": len(outcomes)}
        batch = self._tracer.start_span("batch", first.parent, attributes=attributes, links=links, start_time=began_ns)
        decoded_ns = began_ns + sum(member.decode_ns for member in members)
        decode_ns = began_ns
        for member in members:
            if member.traced:
                self._stage("queue", member.parent, began_ns - int(member.lease.waited_s * 1e9), began_ns)
            if member.traced and isinstance(member.outcome, Answer):
                # One picture is decoded after the other, then all of them are computed in one run.
                self._stage("decode", member.parent, decode_ns, decode_ns + member.decode_ns)
                self._compute(member.parent, member.outcome.timing, batch, decoded_ns)
            decode_ns += member.decode_ns
        batch.end()

    def _compute(self, parent: Context, timing: Timing, batch: Span, began_ns: int) -> None:
        attributes = {"vitrine.provider": timing.provider}
        links = [Link(batch.get_span_context())]
        span = self._tracer.start_span("compute", parent, attributes=attributes, links=links, start_time=began_ns)
        span.end(began_ns + timing.compute_us * 1000)

    def _stage(self, name: str, parent: Context, began_ns: int, ended_ns: int) -> None:
        self._tracer.start_span(name, parent, start_time=began_ns).end(max(began_ns, ended_ns))

    @contextmanager
    def _opened(self, span: Span) -> Iterator[Span]:
        token = TRACEPARENT.set(_traceparent(span.get_span_context()))
        try:
            yield span
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            raise
        finally:
            TRACEPARENT.reset(token)
            span.end()


@dataclass(frozen=True, slots=True)
class _Member:
    """One request of a batch."""

    parent: Context
    lease: Lease
    outcome: Outcome

    @property
    def traced(self) -> bool:
        """Whether anybody records it."""
        return self.span_context.trace_flags.sampled

    @property
    def decode_ns(self) -> int:
        """How long its picture took to decode; what was not answered does not say so."""
        return self.outcome.timing.decode_us * 1000 if isinstance(self.outcome, Answer) else 0

    @property
    def span_context(self) -> SpanContext:
        """Of the span that waits for it."""
        return get_current_span(self.parent).get_span_context()


def ended(outcome: Outcome) -> Outcome:
    """An answer that knows when its lane was done with it: now."""
    if not isinstance(outcome, Answer):
        return outcome
    return replace(outcome, timing=replace(outcome.timing, ended_ns=time.time_ns()))


def _within(traceparent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context())


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
