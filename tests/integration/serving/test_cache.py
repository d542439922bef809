"""The response cache of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from service.client import AsyncClient, Options, Retry
from tests.serving import Serving

LOGITS = Options(logits=True)


async def test_outputs_and_layers_are_those_that_were_asked_for(serve: Callable[..., Serving]) -> None:
    """Over the standard protocol, of one picture that is in the cache; a layer is computed each time."""
    serving = serve("guide", CACHE_BYTES="1000000")
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 3, 3, 1], "data": list(range(9))}

    async def infer(http: httpx.AsyncClient, *names: str) -> tuple[dict[str, list[float]], str]:
        asked = {"inputs": [tensor], "outputs": [{"name": name} for name in names]}
        told = (await http.post(f"{serving.http}/v2/models/guide/infer", json=asked)).json()
        return {output["name"]: output["data"] for output in told["outputs"]}, told["parameters"]["provider"]

    async with httpx.AsyncClient() as http:
        computed, asked_again = await infer(http, "scores"), await infer(http, "logits")
        layers = [await infer(http, "conv") for _ in range(2)]
        metrics = (await http.get(f"{serving.http}/metrics")).text

    assert (list(computed[0]), computed[1]) == (["scores"], "cpu fp32")
    assert asked_again == ({"logits": [19.0, 25.0, 37.0, 43.0]}, "cache")
    assert [each for each, _ in layers] == [{"conv": [19.0, 25.0, 37.0, 43.0]}] * 2
    assert 'vitrine_introspection_seconds_count{code="OK"} 2.0' in metrics


async def test_a_picture_is_computed_once(serve: Callable[..., Serving], nine: bytes) -> None:
    """Asked for sixteen times at once and then again; the metrics tell, Triton's too; looking in is never cached."""
    serving = serve("guide", CACHE_BYTES="1000000")
    async with AsyncClient(serving.grpc, retry=Retry(budget_s=0)) as client:
        answers = await asyncio.gather(
            *(
                client.classify(nine, model="guide", options=Options(logits=True), id=str(number))
                for number in range(16)
            )
        )
        again = await client.classify(nine, model="guide", options=LOGITS)
        maps = [await client.features("**", nine, model="guide") for _ in range(2)]
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"{serving.http}/metrics")).text

    assert [answer.id for answer in answers] == [str(number) for number in range(16)]
    assert {answer.logits for answer in answers} == {(19.0, 25.0, 37.0, 43.0)}
    assert (again.timing.provider, again.predictions) == ("cache", answers[0].predictions)
    assert 'vitrine_cache_requests_total{model="guide",outcome="miss"} 1.0' in metrics
    assert 'nv_cache_num_hits_per_model{model="guide",version="1"} 16.0' in metrics
    assert 'nv_inference_count{model="guide",version="1"} 1.0' in metrics
    assert "vitrine_cache_answers 1.0" in metrics
    assert all(each.end.compute_s > 0 for each in maps)
