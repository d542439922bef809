"""`vitrine serve` as a process, with the shipped model of the guide's worked example."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from service.client import Client, Options, Retry
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from tests.guide import NINE, convolved, png

ZOO = Path(__file__).parents[3] / "model" / "zoo"


@dataclass(frozen=True)
class Serving:
    process: subprocess.Popen[str]
    grpc: str
    http: str


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Ports are the system's choice, so the addresses are what the command prints."""
    shutil.copytree(ZOO / "guide", tmp_path / "guide")
    flags = ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--models", str(tmp_path))
    setting = ("--providers", "cpu", "--lanes", "1", "--intra-op-threads", "1", "--batch", "4")
    command = [sys.executable, "-m", "service", "serve", *flags, *setting]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            grpc, http = (process.stdout.readline().split()[1] for _ in range(2))
            yield Serving(process, grpc, http)
        finally:
            process.kill()


def logits(response: pb.ClassifyResponse) -> tuple[float, ...]:
    return tuple(response.logits)


@pytest.fixture
def nine() -> bytes:
    """The worked example's picture: pixels 0 to 8."""
    return NINE


def test_what_it_prints_can_be_called(serving: Serving, nine: bytes) -> None:
    """The address answers the worked example: 19, 25, 37, 43, and the metrics tell of it."""
    with Client(serving.grpc, retry=Retry(budget_s=60)) as client:
        answer = client.classify(nine, model="guide", options=Options(logits=True))
        (model,) = client.models()
    metrics = httpx.get(f"{serving.http}/metrics").text

    assert answer.logits == (19, 25, 37, 43)
    assert (model.state, model.provider) == ("ready", "cpu fp32")
    assert httpx.get(f"{serving.http}/readyz").text == "ready\n"
    assert 'vitrine_requests_total{code="OK",method="Classify",model="guide"} 1.0' in metrics
    assert 'vitrine_latency_seconds_count{model="guide",stage="compute"} 1.0' in metrics


def test_every_door_gives_the_same_answers(serving: Serving) -> None:
    """Single calls, a batch and a stream of the same pictures agree with the arithmetic, item by item."""
    pictures = {str(n): bytes((n + 7 * k) % 256 for k in range(9)) for n in range(64)}
    requests = [
        pb.ClassifyRequest(id=name, model="guide", image=png(pixels), logits=True) for name, pixels in pictures.items()
    ]
    with Client(serving.grpc, retry=Retry(budget_s=60)) as client:
        client.classify(requests[0].image, model="guide")  # it is ready
    with grpc.insecure_channel(serving.grpc) as channel:
        stub = ClassifierStub(channel)
        alone = {request.id: logits(stub.Classify(request)) for request in requests}
        batch = stub.ClassifyBatch(pb.ClassifyBatchRequest(requests=requests)).results
        stream = {result.id: logits(result.response) for result in stub.ClassifyStream(iter(requests))}

    expected = {name: convolved(pixels) for name, pixels in pictures.items()}
    assert alone == expected
    assert [(result.id, logits(result.response)) for result in batch] == list(expected.items())
    assert stream == expected


def test_a_signal_ends_it_well(serving: Serving) -> None:
    """SIGTERM drains and exits with 0."""
    with Client(serving.grpc, retry=Retry(budget_s=60)) as client:
        client.model("guide")
    serving.process.send_signal(signal.SIGTERM)

    assert serving.process.wait(timeout=120) == 0


def test_a_taken_port_is_one_line(serving: Serving, tmp_path: Path) -> None:
    """A second server on the same address says so and exits with 2."""
    flags = ("--grpc", serving.grpc, "--http", "127.0.0.1:0", "--models", str(tmp_path))
    command = [sys.executable, "-m", "service", "serve", *flags]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert second.returncode == 2
    assert f"vitrine: grpc: cannot listen on {serving.grpc}" in second.stderr
    assert "Traceback" not in second.stderr
