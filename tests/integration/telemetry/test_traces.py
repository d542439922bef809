"""One trace tells where the time of a request went, whichever processes it passed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import httpx
import pytest

from service.bootstrap.traces import traces
from service.config import parse
from service.core.errors import InvalidInput
from service.core.messages import ModelKey
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1 import classifier_pb2_grpc
from tests.guide import png
from tests.integration.distributed.deployment import Deployment
from tests.otlp import Collector, Recorded
from tests.serving import Serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
NINE = png(bytes(range(9)))
#: Pictures of one call, so many that some share a batch however slowly they come.
TOGETHER = 16
STAGES = ["queue", "decode", "compute", "reply"]


def to(collected: Collector) -> dict[str, Any]:
    """Settings that send spans there."""
    return {"OTLP_ENDPOINT": f"http://127.0.0.1:{collected.port}"}


def ask(server: str, traceparent: str, *pictures: bytes) -> list[pb.ClassifyResult]:
    """The results of one ClassifyBatch within the caller's trace."""
    with grpc.insecure_channel(server) as channel:
        requests = [pb.ClassifyRequest(model="guide", image=picture, id=f"r{n}") for n, picture in enumerate(pictures)]
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        metadata = (("traceparent", traceparent),)
        reply = stub.ClassifyBatch(
            pb.ClassifyBatchRequest(requests=requests), metadata=metadata, timeout=60, wait_for_ready=True
        )
        return list(reply.results)


def named(names: Sequence[str]) -> Callable[[Sequence[Recorded]], bool]:
    """Whether these spans are there."""
    return lambda spans: {span.name for span in spans} >= set(names)


def check(spans: dict[str, list[Recorded]], call: str) -> None:
    """One picture's trace: stages within the request within the call within the caller's, in order."""
    (server,), (request,), (batch,) = spans[call], spans["classify"], spans["batch"]
    assert server.parent == CALLER
    assert request.parent == server.id
    assert batch.parent == request.id
    assert batch.links == (request.id,)
    assert {spans[name][0].parent for name in STAGES} == {request.id}
    assert spans["compute"][0].links == (batch.id,)
    times = [(spans[name][0].began, spans[name][0].ended) for name in STAGES]
    assert all(began <= ended for began, ended in times)
    assert [began for began, _ in times] == sorted(began for began, _ in times)
    assert server.began <= request.began
    assert request.attributes["vitrine.request_id"] == "r0"


def test_one_process_tells_every_stage(serve: Callable[..., Serving], collected: Collector) -> None:
    """The caller's trace goes on in the server, down to what the batch computed."""
    server = serve("guide", **to(collected))
    (result,) = ask(server.grpc, TRACEPARENT, NINE)
    call = "vitrine.v1.Classifier/ClassifyBatch"
    spans = collected.trace(TRACE, named([call, "classify", "batch", *STAGES]))

    assert result.HasField("response")
    check(spans, call)
    assert {span.role for found in spans.values() for span in found} == {"embedded"}


def test_a_trace_passes_redis(deployment: Deployment, collected: Collector) -> None:
    """Front-end and worker are two processes, and the trace is one."""
    worker, front_end = deployment.worker(**to(collected)), deployment.front_end(**to(collected))
    deployment.ready(worker, front_end)
    ask(front_end.address("gRPC"), TRACEPARENT, NINE)
    call = "vitrine.v1.Classifier/ClassifyBatch"
    spans = collected.trace(TRACE, named([call, "classify", "batch", *STAGES]))

    check(spans, call)
    roles = {name: found[0].role for name, found in spans.items()}
    assert {roles[name] for name in (call, "classify", "reply")} == {"front-end"}
    assert {roles[name] for name in ("queue", "decode", "batch", "compute")} == {"worker"}


def whole(spans: Sequence[Recorded]) -> bool:
    """Whether all of the requests has arrived: they are sent in the order in which they ended."""
    names = [span.name for span in spans]
    batches = {span.id for span in spans if span.name == "batch"}
    linked = {link for span in spans if span.name == "compute" for link in span.links}
    return names.count("compute") == names.count("classify") == TOGETHER and linked <= batches


def test_a_batch_is_linked_to_all_its_members(serve: Callable[..., Serving], collected: Collector) -> None:
    """Pictures of one call share batches; each compute knows its batch, each batch its requests."""
    server = serve("guide", **to(collected), LANES="1")
    ask(server.grpc, TRACEPARENT, *[NINE] * TOGETHER)
    spans = collected.trace(TRACE, whole)

    links = [link for batch in spans["batch"] for link in batch.links]
    assert sorted(links) == sorted(request.id for request in spans["classify"])
    batches = {batch.id for batch in spans["batch"]}
    assert {link for compute in spans["compute"] for link in compute.links} == batches
    assert len(batches) < TOGETHER


def test_http_brings_a_trace_too(serve: Callable[..., Serving], collected: Collector) -> None:
    """A failed request says so in its span."""
    server = serve("guide", **to(collected))
    headers = {"traceparent": TRACEPARENT}
    refused = httpx.post(f"{server.http}/v1/models/guide/classify", content=b"no picture", headers=headers)
    call = "POST /v1/models/guide/classify"
    spans = collected.trace(TRACE, named([call, "classify"]))

    assert refused.status_code == 400
    assert spans[call][0].attributes["http.response.status_code"] == 400
    assert spans["classify"][0].failed


def test_a_caller_that_does_not_record_is_not_recorded(serve: Callable[..., Serving], collected: Collector) -> None:
    """The flag of the caller's trace decides, for the worker's spans too."""
    server = serve("guide", **to(collected))
    ask(server.grpc, TRACEPARENT.removesuffix("1") + "0", NINE)
    other = TRACE[::-1]
    ask(server.grpc, f"00-{other}-{CALLER}-01", NINE)
    collected.trace(other, named(["batch", "classify"]))

    assert {span.trace for span in collected.spans} == {other}


def test_off_is_not_even_imported() -> None:
    """Without an endpoint a server loads nothing that makes spans; redis-py imports the rest where it is installed."""
    code = (
        "import sys; from service.bootstrap import build_server; from service.config import parse; "
        "build_server(parse({})); "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk.trace', 'opentelemetry.ex'))])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_off_is_nowhere_in_the_way() -> None:
    """What answers is left as it is: no wrapper, no interceptor, no middleware."""
    off = traces(parse({}), "embedded")
    inside: list[Any] = [object(), object(), object()]
    found: list[object] = [off.asking(inside[0]), off.lane(ModelKey("guide", 1), inside[1]), off.around(inside[2])]

    assert found == inside
    assert [*off.interceptors(), *off.behind()] == []


def test_an_endpoint_that_is_none_is_refused() -> None:
    """At start, in one line."""
    with pytest.raises(InvalidInput, match="otlp_endpoint: must be http://HOST:PORT"):
        traces(parse({"otlp_endpoint": "collector:4317"}), "embedded")
