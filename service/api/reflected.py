"""Reflection: what is served, told to clients without our files, by both versions of its protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from service.rpc.open_inference import POOL

_V1 = "grpc.reflection.v1.ServerReflection"
#: Reflection's own services.
NAMES = (_V1, reflection.SERVICE_NAME)


def enable_reflection(services: Iterable[str], server: grpc.aio.Server) -> None:
    """Have the server describe these services.

    grpcio-reflection knows version v1alpha only. v1, which newer clients ask for first, has the same messages under
    another name: the same servicer answers both.
    """
    servicer = reflection.aio.ReflectionServicer(services, pool=Pools())
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]  # generated
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, {"ServerReflectionInfo": handler}),))


class Pools:
    """What reflection asks of a descriptor pool, asked of several: the first that knows the name answers.

    They are that of the Open Inference Protocol, that of reflection's other version, and the process's own. Every
    `Find...` method raises `KeyError` for what none of them knows, as a pool does.
    """

    def __init__(self) -> None:
        self._pools = (POOL, _renamed(), descriptor_pool.Default())

    def __getattr__(self, method: str) -> Any:
        def find(*names: Any) -> Any:
            for pool in self._pools:
                try:
                    return getattr(pool, method)(*names)
                except KeyError:
                    continue
            raise KeyError(*names)

        return find

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """Also for a method or a field, as the protocol wants it: Python's pools know what contains them only."""
        find = self.__getattr__("FindFileContainingSymbol")
        try:
            found: FileDescriptor = find(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            found = find(service)
            if method not in _members(found, service):
                raise
        return found


def _members(file: FileDescriptor, full_name: str) -> Iterable[str]:
    """Methods of a service, or fields of a message at the top of the file."""
    name = full_name.rpartition(".")[2]
    if name in file.services_by_name:
        return file.services_by_name[name].methods_by_name.keys()
    return file.message_types_by_name[name].fields_by_name.keys() if name in file.message_types_by_name else ()


def _renamed() -> descriptor_pool.DescriptorPool:
    """The file of v1alpha as that of v1."""
    file = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = "grpc/reflection/v1/reflection.proto"
    text = text_format.MessageToString(file).replace("reflection.v1alpha", "reflection.v1")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(text, descriptor_pb2.FileDescriptorProto(), descriptor_pool=pool))
    return pool
