"""Labels, splits, shadows and rolling back, on a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.client import AsyncClient, Retry, Routing, Shadow
from service.core.errors import NoSuchModel
from tests.serving import Serving

ONCE = Retry(budget_s=0)
TENTH = Routing({"stable": 1, "canary": 2}, {"stable": 90, "canary": 10})


async def ready(client: AsyncClient, *versions: int) -> None:
    """Wait until exactly these versions of `guide` are ready."""
    while {one.version for one in await client.models() if one.state == "ready"} != set(versions):
        await asyncio.sleep(0.01)


async def post(url: str, **more: Any) -> httpx.Response:
    """What the HTTP port answers."""
    async with httpx.AsyncClient() as http:
        return await http.post(url, **more)


async def metrics(serving: Serving) -> str:
    """All of them."""
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{serving.http}/metrics")).text


def vitrine(serving: Serving, *arguments: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "service", *arguments, "--server", serving.grpc]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


async def test_a_canary_gets_its_share_and_keeps_its_callers(serve: Callable[..., Serving], nine: bytes) -> None:
    """About a tenth of the keys, the same ones again; over every door; and nobody after rolling back."""
    serving = serve("guide")
    serving.publish("guide", 2)
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        await ready(client, 1, 2)
        await client.set_routing("guide", Routing({"stable": 1, "canary": 2}))
        await client.set_routing("guide", TENTH)

        async def version(key: str) -> int:
            return (await client.classify(nine, model="guide", route_key=key)).model.version

        first = [await version(f"caller-{number}") for number in range(300)]
        assert [await version(f"caller-{number}") for number in range(50)] == first[:50]
        assert 12 <= Counter(first)[2] <= 50
        canary = f"caller-{first.index(2)}"
        asked = await post(f"{serving.http}/v1/models/guide/classify?route_key={canary}", content=nine)
        assert asked.json()["version"] == 2
        assert (await client.classify(nine, model="guide", label="canary")).model.version == 2
        asked = await post(f"{serving.http}/v1/models/guide/classify?label=stable", content=nine)
        assert asked.json()["version"] == 1
        with pytest.raises(NoSuchModel, match="'guide' has no label 'blue'; there are canary, stable"):
            await client.classify(nine, model="guide", label="blue")

        assert "revision 3" in vitrine(serving, "route", "rollback", "guide")
        assert await version(canary) == 1


async def test_commands_ask_by_label_and_by_key(serve: Callable[..., Serving], nine: bytes, tmp_path: Path) -> None:
    """Every picture of a folder; a label that is not there is told before any is read, and one can be taken away."""
    serving = serve("guide")
    serving.publish("guide", 2)
    (tmp_path / "nine.png").write_bytes(nine)
    (tmp_path / "again.png").write_bytes(nine)

    def versions(*options: str) -> list[int]:
        lines = vitrine(serving, "classify", "--model", "guide", "--format", "jsonl", *options, str(tmp_path))
        return [json.loads(line)["version"] for line in lines.splitlines()]

    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        await ready(client, 1, 2)
    vitrine(serving, "route", "set", "guide", "--label", "stable=1", "--label", "canary=2")

    assert versions() == [1, 1]
    assert versions("--label", "canary") == [2, 2]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        versions("--label", "blue")
    assert (refused.value.returncode, refused.value.stdout) == (2, "")
    assert "'guide' has no label 'blue'; there are canary, stable" in refused.value.stderr

    vitrine(serving, "route", "set", "guide", "--split", "stable=1", "--split", "canary=1")
    assert {tuple(versions("--route-key", key)) for key in ("a", "b", "c")} == {(1, 1), (2, 2)}
    vitrine(serving, "route", "set", "guide", "--split", "stable=1", "--remove", "canary")
    assert "canary" not in vitrine(serving, "route", "show", "guide")


async def test_the_standard_protocol_takes_labels_as_parameters(serve: Callable[..., Serving]) -> None:
    """Its versions stay numbers; whatever answered is in the response."""
    serving = serve("guide")
    serving.publish("guide", 2)
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        await ready(client, 1, 2)
        await client.set_routing("guide", Routing({"stable": 1, "canary": 2}))
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 3, 3, 1], "data": list(range(9))}
    url = f"{serving.http}/v2/models/guide/infer"

    assert (await post(url, json={"inputs": [tensor]})).json()["model_version"] == "1"
    labelled = {"inputs": [tensor], "parameters": {"label": "canary"}}
    assert (await post(url, json=labelled)).json()["model_version"] == "2"
    refused = await post(url, json={"inputs": [tensor], "parameters": {"label": "blue"}})
    assert (refused.status_code, refused.json()["error"][:22]) == (404, "label: 'guide' has no ")


async def test_what_callers_are_routed_to_stays_loaded(serve: Callable[..., Serving], nine: bytes) -> None:
    """Newer versions come, and a restart: version 1 answers on, and can be rolled back from."""
    serving = serve("guide")
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        await client.set_routing("guide", Routing({"stable": 1}))
        for version in (2, 3, 4):
            serving.publish("guide", version)
        await ready(client, 1, 3, 4)
        assert (await client.classify(nine, model="guide")).model.version == 1
    serving.process.terminate()
    serving.process.wait()
    serving = serve()
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        assert (await client.classify(nine, model="guide")).model.version == 1
        (serving.models / "routing.yaml").write_text("guide: {labels: {stable: 3}}\n")
        while (await client.classify(nine, model="guide")).model.version != 3:
            await asyncio.sleep(0.01)
        assert (await client.roll_back_routing("guide")).routing == Routing({"stable": 1})


async def test_a_shadow_is_compared_and_counted(serve: Callable[..., Serving], nine: bytes) -> None:
    """It is the same file: every copy agrees, and no caller is answered by it."""
    serving = serve("guide")
    serving.publish("guide", 2)
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        await ready(client, 1, 2)
        vitrine(serving, "route", "set", "guide", "--label", "stable=1", "--label", "next=2", "--shadow", "next")
        assert (await client.routing("guide")).routing == Routing({"stable": 1, "next": 2}, shadow=Shadow("next"))
        versions = {(await client.classify(nine, model="guide")).model.version for _ in range(5)}
        series = 'vitrine_shadow_comparisons_total{model="guide",outcome="agreed",shadow_version="2",version="1"} 5.0'
        while series not in await metrics(serving):
            await asyncio.sleep(0.01)

    assert versions == {1}
    assert "100.0%" in vitrine(serving, "route", "show", "guide")
