from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.client import AsyncClient, Credentials, Retry
from service.core.errors import Forbidden, InvalidInput, NotReady, Overloaded, Reason, Unauthenticated
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from tests.fakes import FakeClassifier
from tests.integration.security.conftest import Open, Pki, Ring

PICTURE = b"picture"
ONCE = Retry(budget_s=0)


def client(server: str, **credentials: object) -> AsyncClient:
    known = Credentials(**credentials)  # type: ignore[arg-type]
    return AsyncClient(server, timeout_s=60, retry=ONCE, credentials=known)


async def test_a_key_opens_what_its_scopes_allow(open_server: Open, ring: Ring) -> None:
    """The shop classifies; loading a model is not for it."""
    async with client(await open_server(), api_key=ring.keys["shop"]) as shop:
        assert (await shop.classify(PICTURE, model="digits")).predictions[0].label == "zero"
        with pytest.raises(Forbidden, match="'admin'; 'shop' has: infer"):
            await shop.load("digits")


@pytest.mark.parametrize(
    ("key", "message"), [("", "an API key or a token is needed"), ("vitrine_x", "no such API key")]
)
async def test_strangers_stay_out(open_server: Open, inside: FakeClassifier, key: str, message: str) -> None:
    """Without a key, or with a wrong one, nothing reaches the inside."""
    async with client(await open_server(), api_key=key) as stranger:
        with pytest.raises(Unauthenticated, match=message):
            await stranger.classify(PICTURE, model="digits")
    assert inside.calls == []


async def test_health_checks_need_no_key(open_server: Open) -> None:
    """Load balancers have none."""
    async with grpc.aio.insecure_channel(await open_server()) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        state = await stub.Check(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
    assert state.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_the_inside_knows_who_calls(open_server: Open, ring: Ring, inside: FakeClassifier) -> None:
    """For its log, and for what needs a further scope."""
    server = await open_server()
    for name in ("shop", "lab"):
        async with client(server, api_key=ring.keys[name]) as caller:
            await caller.classify(PICTURE, model="digits")

    assert inside.callers == ["shop", "lab"]


async def test_too_many_calls_are_told_when_to_come_back(open_server: Open, ring: Ring) -> None:
    """Two pass at once, others wait for half a second; the SDK does so by itself."""
    server = await open_server()
    async with client(server, api_key=ring.keys["slow"]) as slow:
        asked = [slow.classify(PICTURE, model="digits") for _ in range(20)]
        told = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in told if isinstance(each, Overloaded)]
    assert 2 <= len(told) - len(refused) < len(told)
    assert {each.reason for each in refused} == {Reason.CALLER_RATE}
    assert all(str(each).startswith("slow: at most 2 requests per second") for each in refused)
    assert all(0 < each.retry_after_s <= 0.5 for each in refused)
    patient = AsyncClient(server, timeout_s=60, credentials=Credentials(ring.keys["slow"]))
    async with patient:
        await patient.classify(PICTURE, model="digits")


async def test_calls_at_once_are_counted_until_they_end(open_server: Open, ring: Ring, inside: FakeClassifier) -> None:
    """Also those that are cancelled."""
    inside.held[PICTURE] = asyncio.Event()
    async with client(await open_server(), api_key=ring.keys["single"]) as single:
        first = asyncio.create_task(single.classify(PICTURE, model="digits"))
        await inside.seen(1)
        with pytest.raises(Overloaded, match="at most 1 calls at once"):
            await single.classify(b"other", model="digits")
        first.cancel()
        await inside.left(1)
        while True:  # the call's end follows the withdrawal within a turn of the server's loop
            try:
                await single.classify(b"other", model="digits")
            except Overloaded:
                await asyncio.sleep(0)
            else:
                break


async def test_a_stream_is_slowed_down_instead_of_refused(open_server: Open, ring: Ring) -> None:
    """Five pictures at two per second take the time that they are allowed, and all are answered."""
    metadata = (("authorization", f"Bearer {ring.keys['slow']}"),)
    started = time.monotonic()
    async with grpc.aio.insecure_channel(await open_server()) as channel:

        async def requests() -> AsyncIterator[pb.ClassifyRequest]:
            for number in range(5):
                yield pb.ClassifyRequest(id=str(number), model="digits", image=PICTURE)

        call = ClassifierStub(channel).ClassifyStream(requests(), metadata=metadata)
        ids = {result.id async for result in call}

    assert ids == set("01234")
    assert time.monotonic() - started >= 1.4  # one more request is counted for opening the stream


async def test_a_stranger_opens_no_stream(open_server: Open) -> None:
    """The call ends before anything is read."""
    async with grpc.aio.insecure_channel(await open_server()) as channel:
        call = ClassifierStub(channel).ClassifyStream()
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_tls_protects_the_key(open_server: Open, ring: Ring, pki: Pki) -> None:
    """Over TLS it is sent to any host whose certificate holds; without TLS only to this machine."""
    server = await open_server(pki.server())
    async with client(server, api_key=ring.keys["shop"], tls=str(pki.ca)) as shop:
        await shop.classify(PICTURE, model="digits")
    with pytest.raises(InvalidInput, match=r"^tls: must be set .* to send an API key to another machine"):
        client("vitrine.example:50051", api_key=ring.keys["shop"])


async def test_a_server_with_another_certificate_is_not_spoken_to(open_server: Open, ring: Ring, pki: Pki) -> None:
    """Signed by somebody else."""
    other = Pki(type(pki.authority)(), pki.folder / "other")
    other.folder.mkdir()
    server = await open_server(pki.server())
    async with client(server, api_key=ring.keys["shop"], tls=str(other.ca)) as shop:
        with pytest.raises(NotReady):
            await shop.classify(PICTURE, model="digits")


async def test_clients_may_have_to_show_a_certificate(open_server: Open, pki: Pki, inside: FakeClassifier) -> None:
    """With one that the authority signed, no key is needed; without one there is no connection."""
    chain, key = pki.issue("server", "127.0.0.1")
    server = await open_server(type(pki.server())(chain, key, pki.ca))
    shown, private = pki.issue("printer")
    async with client(server, tls=str(pki.ca), certificate=shown, private_key=private) as printer:
        await printer.classify(PICTURE, model="digits")
        with pytest.raises(Forbidden, match="'printer' has: infer"):
            await printer.unload("digits")
    async with client(server, tls=str(pki.ca)) as stranger:
        with pytest.raises(NotReady):
            await stranger.classify(PICTURE, model="digits")
    assert len(inside.calls) == 1


async def test_certificates_are_renewed_without_a_restart(open_server: Open, ring: Ring, pki: Pki) -> None:
    """A new authority signs: from then on only who trusts the new one connects; a broken file changes nothing."""
    server = await open_server(pki.server())
    renewed = Pki(type(pki.authority)(), pki.folder / "renewed")
    renewed.folder.mkdir()
    chain, key = renewed.issue("server", "127.0.0.1", "localhost")
    _replace(pki.folder / "server.pem", chain.read_bytes()[:40])
    async with client(server, api_key=ring.keys["shop"], tls=str(pki.ca)) as shop:
        await shop.classify(PICTURE, model="digits")
    _replace(pki.folder / "server.key", key.read_bytes())
    _replace(pki.folder / "server.pem", chain.read_bytes())

    async with client(server, api_key=ring.keys["shop"], tls=str(renewed.ca)) as shop:
        await shop.classify(PICTURE, model="digits")


def _replace(path: Path, data: bytes) -> None:
    """In one step, as tools that renew certificates do."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)
