"""A front-end and two workers do what the one process did."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from service.client import Client, Options
from service.core.errors import NoSuchModel, Refused
from service.core.image import Limits, decode
from service.core.messages import ModelKey
from service.core.spec import Spec
from service.engine.loading import EnginePolicy, load
from service.engine.store import ModelStore
from tests.guide import convolved, png
from tests.integration.distributed.deployment import ROOT, ZOO, Deployment, Started, WorkerStarted, until

LOGITS = Options(logits=True)


@pytest.fixture
def client(front_end: Started) -> Iterator[Client]:
    with Client(front_end.address("gRPC")) as client:
        yield client


def test_answers_are_those_of_the_file(client: Client) -> None:
    """What comes back through Redis is what the published file computes here, digit by digit."""
    paths = sorted((ROOT / "model" / "pictures" / "digits").iterdir())
    answers = [client.classify(path, model="digits", options=LOGITS) for path in paths]
    engine = load(ModelStore(ZOO).open(ModelKey("digits", 1)), EnginePolicy(("cpu",), "exact", 1, 1, 1))
    offline = [engine.run(_pixels(path, engine.spec)[np.newaxis])[0] for path in paths]

    assert [answer.predictions[0].label for answer in answers] == [path.stem for path in paths]
    np.testing.assert_allclose([answer.logits for answer in answers], offline, atol=1e-4)


def _pixels(path: Path, spec: Spec) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return decode(path.read_bytes(), spec, Limits(2**20, 10_000, 1000))


def test_two_workers_share_the_load(
    shared: Deployment, client: Client, workers: tuple[WorkerStarted, WorkerStarted]
) -> None:
    """Whoever has a free lane takes what waits; each of 400 requests is answered with its own picture's logits."""
    series = 'vitrine_batch_size_sum{model="guide"}'
    before = [worker.metric(series) for worker in workers]
    pictures = [bytes((n + 7 * k) % 254 for k in range(9)) for n in range(400)]
    for worker in workers:
        worker.hold.touch()
    with ThreadPoolExecutor(32) as pool:
        asked = pool.map(lambda pixels: client.classify(png(pixels), model="guide", options=LOGITS), pictures)
        until(lambda: len({owner for owner, _ in shared.leases()}) == len(workers))
        for worker in workers:
            worker.hold.unlink()
        answers = list(asked)
    computed = [worker.metric(series) - then for worker, then in zip(workers, before, strict=True)]

    assert [answer.logits for answer in answers] == [convolved(pixels) for pixels in pictures]
    assert sum(computed) == 400
    assert min(computed) > 0


def test_the_front_end_shows_what_workers_serve(client: Client) -> None:
    """Digest and tuning are those of the workers; loading and unloading is their own affair."""
    found = {model.name: (model.version, model.state, model.latest, model.provider) for model in client.models()}

    assert found == {"guide": (1, "ready", True, "cpu fp32"), "digits": (1, "ready", True, "cpu fp32")}
    assert client.model("guide").digest == ModelStore(ZOO).open(ModelKey("guide", 1)).digest
    with pytest.raises(NoSuchModel, match="no worker has announced cats"):
        client.classify(b"", model="cats")
    with pytest.raises(Refused, match="loaded by workers"):
        client.load("guide")
    with pytest.raises(Refused, match="unloaded by workers"):
        client.unload("guide")


def test_neither_front_end_nor_supervisor_holds_an_engine(
    front_end: Started, workers: tuple[WorkerStarted, WorkerStarted]
) -> None:
    """Native code that may crash is in the workers' children only."""
    child = workers[0].child()
    assert child
    pids = {"front-end": front_end.process.pid, "supervisor": workers[0].process.pid, "child": child.pid}
    holds = {name: "onnxruntime" in Path(f"/proc/{pid}/maps").read_text() for name, pid in pids.items()}

    assert holds == {"front-end": False, "supervisor": False, "child": True}


def test_metrics_tell_where_work_is(
    client: Client, front_end: Started, workers: tuple[WorkerStarted, WorkerStarted]
) -> None:
    """The front-end counts requests and watches the queue; what a lane did is in its worker's metrics."""
    client.classify(png(bytes(9)), model="guide")

    assert front_end.metric('vitrine_requests_total{code="OK",method="Classify",model="guide"}') >= 1
    assert 'vitrine_queue_entries{model="guide",version="1"}' in front_end.get("/metrics").text
    assert [worker.metric("vitrine_worker_restarts_total") for worker in workers] == [0, 0]
    assert [worker.get("/healthz").text for worker in workers] == ["live\n", "live\n"]


def test_a_worker_tells_whether_its_activations_drift(deployment: Deployment) -> None:
    """Where the lanes are the pictures are; what a worker answers for others is looked at there."""
    worker, front_end = deployment.worker(model="fashion", DRIFT_SHARE="1"), deployment.front_end()
    deployment.ready(worker, front_end)
    with Client(front_end.address("gRPC")) as client:
        client.classify(png(bytes(9)), model="fashion")
    series = 'vitrine_activation_drift_samples_total{model="fashion",outcome="measured"}'

    until(lambda: worker.metric(series) == 1)


def test_models_can_be_looked_into_where_they_are_mounted(shared: Deployment, front_end: Started) -> None:
    """With `models` given a front-end shows the worked example; without, it has no such service."""
    mounted = shared.front_end(MODELS=str(ZOO))
    shared.ready(mounted)
    services = [_services(each.address("gRPC")) for each in (front_end, mounted)]
    with Client(mounted.address("gRPC")) as client:
        maps = client.features("conv", png(bytes(range(9))), model="guide")

    assert ["vitrine.v1.Introspection" in each for each in services] == [False, True]
    assert maps["conv"].tolist() == [[[19, 25], [37, 43]]]


def _services(address: str) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        return list(ProtoReflectionDescriptorDatabase(channel).get_services())


def test_a_commands_options_hold_no_secret() -> None:
    """A password comes from the environment or a file: what is on a command line can be read by everybody."""
    for command in ("serve", "worker"):
        done = subprocess.run(
            [sys.executable, "-m", "service", command, "--redis-password", "x"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "No such option" in done.stderr
