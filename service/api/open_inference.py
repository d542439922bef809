"""`inference.GRPCInferenceService`: the Open Inference Protocol v2, with what Triton adds to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from service.api.deadline import deadline_of
from service.api.guard import Context, guarded, outcome
from service.api.open_inference_messages import from_response, to_request
from service.api.ordered_stream import OrderedStream
from service.core.errors import Unsupported
from service.oip.inference import OpenInference
from service.rpc.models import check_name
from service.rpc.open_inference import SERVICE, pb

NAME = SERVICE.full_name

#: Every response of a stream is the last one of its request: models here answer once.
_FINAL = {"triton_final_response": True}
#: Metadata with which a client asks for statuses in place of messages within the stream.
_STATUS_WANTED = ("triton_grpc_error", "true")


class OpenInferenceServicer:
    """Takes requests off the wire and hands them to `inside`, each with the caller's deadline."""

    def __init__(self, inside: OpenInference, max_stream_in_flight: int) -> None:
        self._inside = inside
        self._max_stream_in_flight = max_stream_in_flight
        self._streams: set[OrderedStream[pb.ModelInferRequest, pb.ModelStreamInferResponse]] = set()

    @guarded
    async def ServerLive(self, _request: pb.ServerLiveRequest, _context: Context) -> pb.ServerLiveResponse:
        """A server that answers is live."""
        return pb.ServerLiveResponse(live=True)

    @guarded
    async def ServerReady(self, _request: pb.ServerReadyRequest, _context: Context) -> pb.ServerReadyResponse:
        """Whether callers may come: some model can be asked, and the server stays."""
        return pb.ServerReadyResponse(ready=self._inside.ready())

    @guarded
    async def ModelReady(self, request: pb.ModelReadyRequest, _context: Context) -> pb.ModelReadyResponse:
        """Whether this model can be asked; NOT_FOUND when there is none."""
        check_name(request.name)
        return pb.ModelReadyResponse(ready=self._inside.model_ready(request.name, request.version))

    @guarded
    async def ServerMetadata(self, _request: pb.ServerMetadataRequest, _context: Context) -> pb.ServerMetadataResponse:
        """Name, version, and which extensions there are."""
        return pb.ServerMetadataResponse(**self._inside.server())

    @guarded
    async def ModelMetadata(self, request: pb.ModelMetadataRequest, _context: Context) -> pb.ModelMetadataResponse:
        """Inputs and declared outputs."""
        check_name(request.name)
        return pb.ModelMetadataResponse(**self._inside.metadata(request.name, request.version))

    @guarded
    async def ModelConfig(self, request: pb.ModelConfigRequest, _context: Context) -> pb.ModelConfigResponse:
        """How the model is served."""
        check_name(request.name)
        return pb.ModelConfigResponse(config=pb.ModelConfig(**self._inside.config(request.name, request.version)))

    @guarded
    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, _context: Context
    ) -> pb.ModelStatisticsResponse:
        """What was counted since the start."""
        counted = self._inside.statistics(request.name, request.version)
        return pb.ModelStatisticsResponse(model_stats=[pb.ModelStatistics(**each) for each in counted])

    @guarded
    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, _context: Context
    ) -> pb.RepositoryIndexResponse:
        """Every version, with its state."""
        _check_repository(request.repository_name)
        models = self._inside.index(only_ready=request.ready)
        return pb.RepositoryIndexResponse(models=[pb.RepositoryIndexResponse.ModelIndex(**each) for each in models])

    @guarded
    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, _context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """Load the newest version and wait until it is ready."""
        _check_repository(request.repository_name)
        check_name(request.model_name)
        if request.parameters:
            raise Unsupported("parameters: models are published as files; configurations and files are not taken here")
        await self._inside.load(request.model_name)
        return pb.RepositoryModelLoadResponse()

    @guarded
    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, _context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Unload every version, after what is in flight."""
        _check_repository(request.repository_name)
        check_name(request.model_name)
        await self._inside.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    @guarded
    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        """Tensors in, tensors out."""
        return from_response(await self._inside.infer(to_request(request), deadline_of(context), "ModelInfer"))

    @guarded
    async def ModelStreamInfer(self, _requests: AsyncIterator[pb.ModelInferRequest], context: Context) -> None:
        """Responses in the order of the requests; what fails is told in its place, and the stream goes on."""
        deadline = deadline_of(context)
        statuses = _STATUS_WANTED in (context.invocation_metadata() or ())

        async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            inferred = self._streamed(request, deadline)
            return await inferred if statuses else _in_band(await outcome(inferred), request.id)

        stream = OrderedStream(context, answer, self._max_stream_in_flight)
        self._streams.add(stream)
        try:
            await stream.run()
        finally:
            self._streams.discard(stream)

    def stop_streams(self) -> None:
        """End every stream once what it has read is answered."""
        for stream in self._streams:
            stream.stop()

    async def _streamed(self, request: pb.ModelInferRequest, deadline: float) -> pb.ModelStreamInferResponse:
        response = await self._inside.infer(to_request(request), deadline, "ModelStreamInfer")
        return pb.ModelStreamInferResponse(infer_response=from_response(response, _FINAL))


def register(servicer: OpenInferenceServicer, server: grpc.aio.Server) -> None:
    """Add every RPC of the service to the server; those that are not offered say so."""
    handlers = {method.name: _handler(servicer, method) for method in SERVICE.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))


_NOT_OFFERED: Mapping[str, str] = {
    "SharedMemory": "shared memory is not offered; send tensors in the request",
    "TraceSetting": "traces are set up where the server is started, not over the wire",
    "LogSettings": "logs are set up where the server is started, not over the wire",
}


def _handler(servicer: OpenInferenceServicer, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    make = grpc.stream_stream_rpc_method_handler if method.client_streaming else grpc.unary_unary_rpc_method_handler
    behaviour = getattr(servicer, method.name, None) or _refusal(method.name)
    return make(
        behaviour,
        request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
        response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
    )


def _refusal(name: str) -> Callable[[Message, Context], Awaitable[Message]]:
    reason = next(text for part, text in _NOT_OFFERED.items() if part in name)

    @guarded
    async def refuse(_servicer: None, _request: Message, _context: Context) -> Message:
        raise Unsupported(f"{name}: {reason}")

    return partial(refuse, None)


def _in_band(result: pb.ModelStreamInferResponse | Status, id: str) -> pb.ModelStreamInferResponse:
    if not isinstance(result, Status):
        return result
    failed = pb.ModelInferResponse(id=id, parameters={"triton_final_response": pb.InferParameter(bool_param=True)})
    return pb.ModelStreamInferResponse(error_message=result.message, infer_response=failed)


def _check_repository(name: str) -> None:
    if name:
        raise Unsupported(f"repository_name: there is one folder of models, without a name, and not {name!r}")
