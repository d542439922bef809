"""Live, ready, draining, gone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.client import AsyncClient, Retry
from service.client.probe import grpc_state
from service.core.errors import NotReady, ServiceError
from tests.serving import PATIENT, Serving

ONCE = Retry(budget_s=0)


async def test_sigterm_under_load_loses_nothing(serve: Callable[..., Serving], nine: bytes) -> None:
    """Every request is answered or refused as not ready, and the process exits with 0."""
    serving = serve("guide")
    errors: list[ServiceError] = []
    answered = 0

    async def caller(client: AsyncClient) -> None:
        nonlocal answered
        try:
            while True:
                await client.classify(nine, model="guide")
                answered += 1
        except ServiceError as error:
            errors.append(error)

    async with AsyncClient(serving.grpc, retry=ONCE) as client, asyncio.TaskGroup() as callers:
        for _ in range(16):
            callers.create_task(caller(client))
        while answered < 100:
            await asyncio.sleep(0.01)
        serving.process.send_signal(signal.SIGTERM)

    assert {str(error) for error in errors if not isinstance(error, NotReady)} == set()
    assert await asyncio.to_thread(serving.process.wait, 120) == 0


@contextlib.asynccontextmanager
async def watching(serving: Serving) -> AsyncIterator[None]:
    """A health watch: a call that its caller keeps open, so that draining has something to wait for."""
    async with grpc.aio.insecure_channel(serving.grpc) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]  # the stubs forgot it
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        yield
        watch.cancel()


async def test_readiness_ends_before_the_process(serve: Callable[..., Serving]) -> None:
    """While it drains it is alive and not ready, and says why."""
    serving = serve("guide")
    async with httpx.AsyncClient(base_url=serving.http) as http:
        assert (await http.get("/readyz")).status_code == 200
        async with watching(serving):
            serving.process.send_signal(signal.SIGTERM)
            while (ready := await http.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.01)
            assert (ready.status_code, ready.text) == (503, "not ready: the server is shutting down\n")
            assert (await http.get("/healthz")).status_code == 200

    assert await asyncio.to_thread(serving.process.wait, 120) == 0


async def test_who_comes_while_it_leaves_is_answered(serve: Callable[..., Serving], nine: bytes) -> None:
    """Every probe says that it is not ready, so that balancers look elsewhere; until they have, calls are answered."""
    serving = serve("guide", LINGER_S="600")  # however slow the machine
    async with AsyncClient(serving.grpc, retry=ONCE) as client, httpx.AsyncClient(base_url=serving.http) as http:
        serving.process.send_signal(signal.SIGTERM)
        while (await http.get("/readyz")).status_code == 200:
            await asyncio.sleep(0.01)
        answer = await client.classify(nine, model="guide")
        standard = (await http.get("/v2/health/ready")).status_code
        live = (await http.get("/v2/health/live")).status_code
        balancers = await grpc_state(serving.grpc, "", 60)

    assert answer.predictions
    assert (standard, live, balancers) == (503, 200, (False, "NOT_SERVING"))


async def test_the_grace_period_is_an_end(serve: Callable[..., Serving]) -> None:
    """A caller that holds its call open keeps the process for the grace period, no longer."""
    serving = serve("guide", GRACE_S="0.2")
    async with watching(serving):
        serving.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(serving.process.wait, 120) == 0


async def test_a_second_signal_exits_at_once(serve: Callable[..., Serving]) -> None:
    """Whatever is in flight, with the exit code of a signal."""
    serving = serve("guide", GRACE_S="600")
    async with watching(serving), httpx.AsyncClient(base_url=serving.http) as http:
        serving.process.send_signal(signal.SIGTERM)
        while (await http.get("/readyz")).status_code == 200:
            await asyncio.sleep(0.01)
        serving.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(serving.process.wait, 120) == 128 + signal.SIGTERM


async def test_a_cancel_storm_hurts_nobody(serve: Callable[..., Serving], nine: bytes) -> None:
    """Of a thousand requests every other caller leaves at a random moment; all others are answered."""
    serving = serve("guide")
    async with AsyncClient(serving.grpc, retry=PATIENT) as client:
        asked = [asyncio.create_task(client.classify(nine, model="guide")) for _ in range(1000)]
        for turn, task in enumerate(asked[::2]):
            if turn % 50 == 0:
                await asyncio.sleep(0)
            task.cancel()
        answers = await asyncio.gather(*asked[1::2])
        await asyncio.wait(asked[::2])

    assert len(answers) == 500
    left = ('vitrine_queue_entries{model="guide",version="1"} 0.0', "vitrine_requests_in_flight 0.0")
    async with httpx.AsyncClient(base_url=serving.http) as http, asyncio.timeout(60):
        while not set(left) <= set((await http.get("/metrics")).text.splitlines()):  # withdrawals may come last
            await asyncio.sleep(0.01)


def test_serving_imports_neither_torch_nor_training() -> None:
    """Everything that a server is built of, without what it is not."""
    imported = _imported("service.bootstrap, service.cli, service.commands.serve, service.client")

    assert not imported & {"torch", "model", "onnx", "onnxscript", "matplotlib"}


def test_one_process_imports_nothing_of_redis_tokens_and_traces() -> None:
    """They cost a tenth of the start-up and 18 MiB, and are wanted where they are configured."""
    imported = _imported("service.bootstrap.embedded, service.cli, service.commands.serve")

    assert not imported & {"redis", "hiredis", "jwt", "cryptography", "opentelemetry"}


def _imported(modules: str) -> set[str]:
    program = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--models", "/nowhere"), "models folder /nowhere cannot be read"),
        (("--providers", "cuda"), "provider 'cuda' is not in the installed ONNX Runtime; available: "),
        (("--lanes", "0"), "lanes: Input should be greater than 0, got '0'"),
        (("--grpc", "nowhere"), "grpc: "),
    ],
)
def test_what_cannot_be_served_is_one_line(flags: tuple[str, str], message: str) -> None:
    """A wrong setting ends the start with exit code 2 and says what is wrong with it."""
    quiet = ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
    command = [sys.executable, "-m", "service", "serve", *quiet, *flags]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
