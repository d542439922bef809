"""Our SDK, our server and two client libraries of the protocol in one process, imported in the order given.

usage: together.py MODULE ...
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import google.protobuf
from facts import facts


def imported() -> Any:
    for name in sys.argv[1:]:
        importlib.import_module(name)
    return "all"


def apart() -> Any:
    """Each speaks with messages of its own, and reads what the other wrote."""
    import tritonclient.grpc as triton  # noqa: PLC0415 - in the order that was asked for

    from service.rpc.open_inference import pb  # noqa: PLC0415 - likewise

    theirs = triton.service_pb2.ModelInferRequest(model_name="digits", raw_input_contents=[b"\1"])
    theirs.parameters["priority"].uint64_param = 1
    ours = pb.ModelInferRequest.FromString(theirs.SerializeToString())
    same_bytes = ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)
    return [type(ours) is type(theirs), ours.model_name, ours.parameters["priority"].uint64_param, same_bytes]


def protobuf() -> Any:
    return google.protobuf.__version__.split(".")[0]


if __name__ == "__main__":
    facts(imported, apart, protobuf)
