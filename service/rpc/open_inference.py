"""The messages of the Open Inference Protocol, in a descriptor pool of their own.

Every client library of the protocol brings its own files of `package inference`, and one pool holds one of them only:
with generated code, whichever is imported second fails (triton-inference-server/client#730, kserve#3099). So the
descriptors are read as data here, and no other library ever meets them.
"""

from __future__ import annotations

from importlib.resources import files
from types import SimpleNamespace
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["POOL", "SERVICE", "pb"]

POOL = descriptor_pool.DescriptorPool()
_FILE = "inference/open_inference.proto"


def _load() -> SimpleNamespace:
    data = files("service.rpc.pb").joinpath("inference/descriptors.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        POOL.Add(file)
    classes = message_factory.GetMessageClassesForFiles([_FILE], POOL)
    return SimpleNamespace(**{name.removeprefix("inference."): message for name, message in classes.items()})


if TYPE_CHECKING:
    from service.rpc.pb.inference import open_inference_pb2 as pb
else:
    pb = _load()

SERVICE = POOL.FindServiceByName("inference.GRPCInferenceService")
