"""Work for a stack: durable jobs whose every answer is known, and calls without a pause."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.client import AsyncClient
from service.client.credentials import Credentials
from service.core.errors import ServiceError
from service.core.jobs import Item, ItemResult, Job, JobState, Order
from service.core.messages import Answer, Options
from tests.e2e.stack import DIGITS, Stack

PICTURES = [(DIGITS / f"{digit}.png").read_bytes() for digit in range(10)]
#: Some seconds of one lane's work.
MANY = 3000


def sdk(stack: Stack) -> AsyncClient:
    """The async SDK, through the balancer, by TLS; to be made where the loop runs."""
    key = (stack.secrets / "api_key").read_text().strip()
    credentials = Credentials(key, str(stack.secrets / "tls" / "ca.pem"))
    return AsyncClient(stack.address("balancer", 50443), timeout_s=120, credentials=credentials)


async def submit(client: AsyncClient, items: int = MANY) -> Job:
    """A job of digits; item i shows the digit i mod 10, and is called by its number."""
    order = Order("digits", options=Options(top_k=1))
    return await client.jobs.submit((Item(str(at), PICTURES[at % 10]) for at in range(items)), order)


async def begun(client: AsyncClient, id: str) -> Job:
    """The job, as soon as it has results and before it has all of them."""
    async for event in client.jobs.watch(id, results=False):
        if event.job.finished:
            assert not event.job.state.ended, "it was over before anything could happen to it"
            return event.job
    raise AssertionError("it ended without a result")


async def finished(client: AsyncClient, id: str) -> list[ItemResult]:
    """Every result, when the job is done."""
    async for event in client.jobs.watch(id, results=False):
        job = event.job
    assert job.state is JobState.DONE
    return [result async for result in client.jobs.results(id)]


def check(results: list[ItemResult], items: int = MANY) -> None:
    """Each item has one result, and it is the right one."""
    assert sorted(result.index for result in results) == list(range(items))
    for result in results:
        assert isinstance(result.outcome, Answer), result.outcome
        assert result.outcome.predictions[0].label == str(result.index % 10)


@dataclass
class Load:
    """What became of the calls."""

    answered: int = 0
    failed: list[ServiceError] = field(default_factory=list)


@contextmanager
def load(stack: Stack) -> Iterator[Load]:
    """Two callers that ask without a pause while the block runs, with the SDK's own retry policy."""
    outcomes, stop = Load(), threading.Event()

    def call() -> None:
        with stack.client() as client:
            while not stop.is_set():
                digit = outcomes.answered % 10
                try:
                    answer = client.classify(PICTURES[digit], model="digits")
                except ServiceError as error:
                    outcomes.failed.append(error)
                else:
                    assert answer.predictions[0].label == str(digit)
                    outcomes.answered += 1

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for caller in callers:
            caller.join()
