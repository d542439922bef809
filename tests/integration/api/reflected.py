"""What the server tells of itself by reflection."""

from __future__ import annotations

import grpc
from grpc_reflection.v1alpha import reflection_pb2


async def reflected(
    channel: grpc.aio.Channel, asked: reflection_pb2.ServerReflectionRequest, version: str = "v1"
) -> reflection_pb2.ServerReflectionResponse:
    """The answer to one question."""
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    reply = await ask(iter([asked])).read()
    assert isinstance(reply, reflection_pb2.ServerReflectionResponse)
    return reply
