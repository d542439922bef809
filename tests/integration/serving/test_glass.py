"""Looking into what a real server serves."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import numpy as np
import pytest

from service.client import AsyncClient
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb
from service.rpc.pb.vitrine.v1.introspection_pb2_grpc import IntrospectionStub
from tests.serving import PATIENT, Serving


def maps_of(model: str, layer: str, image: bytes) -> pb.GetFeatureMapsRequest:
    """All channels of one layer, as they are."""
    return pb.GetFeatureMapsRequest(
        model=model,
        pictures=[pb.Picture(image=image)],
        layers=pb.LayerSelector(include=[layer]),
        encoding=pb.Encoding(kind=pb.Encoding.KIND_FLOAT32),
    )


async def test_the_worked_example_can_be_looked_into(serve: Callable[..., Serving], nine: bytes) -> None:
    """The shipped `guide`: feature maps 19 25 / 37 43, and the four products behind each."""
    serving = serve("guide")
    async with grpc.aio.insecure_channel(serving.grpc) as channel:
        stub = IntrospectionStub(channel)
        events = [event async for event in stub.GetFeatureMaps(maps_of("guide", "conv", nine))]
        unit = await stub.ExplainUnit(
            pb.ExplainUnitRequest(model="guide", picture=pb.Picture(image=nine), layer="conv", y=1, x=1)
        )

    (data,) = [event.chunk.data for event in events if event.HasField("chunk")]
    assert np.frombuffer(data, "<f4").tolist() == [19, 25, 37, 43]
    assert list(unit.conv.patches[0].products) == [0, 5, 14, 24]
    assert (unit.value, unit.residual) == (43, 0)


async def test_every_version_is_looked_into_by_its_number(serve: Callable[..., Serving], nine: bytes) -> None:
    """A version that is let go cannot be looked into any more, and says how to load it."""
    serving = serve("guide")
    async with grpc.aio.insecure_channel(serving.grpc) as channel, AsyncClient(serving.grpc, retry=PATIENT) as client:
        stub = IntrospectionStub(channel)
        request = maps_of("guide", "conv", nine)
        request.version = 1
        header, *_ = [event async for event in stub.GetFeatureMaps(request)]
        await client.unload("guide", 1)
        with pytest.raises(grpc.aio.AioRpcError, match=r"guide:1 is stored but not loaded") as caught:
            await stub.GetFeatureMaps(request).read()

    assert header.header.version == 1
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_the_glass_can_be_closed(serve: Callable[..., Serving], nine: bytes) -> None:
    """With `introspection` off the service is not there; classification is."""
    serving = serve("guide", INTROSPECTION="false")
    async with grpc.aio.insecure_channel(serving.grpc) as channel, AsyncClient(serving.grpc, retry=PATIENT) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await IntrospectionStub(channel).ListLayers(pb.ListLayersRequest(model="guide"))

        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert (await client.classify(nine, model="guide")).model.name == "guide"
