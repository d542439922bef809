"""What is fuzzed: each target takes any bytes, and may raise nothing but what its callers handle."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial

from google.protobuf.message import DecodeError

from service.api.open_inference_messages import to_request
from service.core import records, routing
from service.core.errors import BadImage, InvalidInput, ServiceError
from service.core.image import Limits, decode, inspect
from service.core.spec import Spec
from service.core.uris import UriRules, allowed
from service.oip.outputs import plan
from service.oip.pictures import pictures
from service.queues import announcement
from service.queues.envelope import read_item, read_options, read_reply, read_work
from service.rpc.open_inference import pb
from service.security.tokens import parse_keys
from service.web.open_inference_json import read_request

#: Small enough that no picture within them takes long.
LIMITS = Limits(max_bytes=1 << 20, max_pixels=250_000)
GRAY = Spec("gray", 1, 4, 5, ("a", "b"))
COLOUR = Spec("colour", 3, 5, 4, ("a", "b"))
MAX_BATCH = 16


def picture(data: bytes) -> None:
    """A file: looked at, then decoded for a gray and for a colour model."""
    for spec in (GRAY, COLOUR):
        with contextlib.suppress(BadImage):
            inspect(data, LIMITS)
            assert decode(data, spec, LIMITS).shape == spec.shape


def open_inference_grpc(data: bytes) -> None:
    """A `ModelInferRequest`, up to the pictures in it."""
    with contextlib.suppress(DecodeError, ServiceError):
        request = to_request(pb.ModelInferRequest.FromString(data))
        plan(request.outputs)
        assert len(pictures(request.inputs, COLOUR, MAX_BATCH).images) <= MAX_BATCH


def open_inference_http(data: bytes) -> None:
    """The body of an infer request; its first line is the header with the length of the JSON."""
    length, _, body = data.partition(b"\n")
    with contextlib.suppress(ServiceError):
        request, _ = read_request("colour", "", body, length.decode("latin-1") or None)
        plan(request.outputs)
        assert len(pictures(request.inputs, COLOUR, MAX_BATCH).images) <= MAX_BATCH


def envelopes(data: bytes) -> None:
    """What lies in Redis, of whoever wrote it there."""
    fields = data.split(b"|")
    read_work(b"1-0", fields[: len(fields) // 2 * 2])
    readers: tuple[tuple[Callable[[bytes], object], type[Exception]], ...] = (
        (read_reply, DecodeError),
        (read_item, DecodeError),
        (read_options, DecodeError),
        (announcement.read, InvalidInput),
        (partial(routing.from_json, where="model"), InvalidInput),
        (records.from_json, InvalidInput),
    )
    for read, refusal in readers:
        with contextlib.suppress(refusal):
            read(data)


def addresses(data: bytes) -> None:
    """URIs of jobs, and a file of public keys."""
    rules = UriRules("/srv/pictures", ("*.example.org",), ("bucket",))
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(ServiceError):
        allowed(text, rules)
    with contextlib.suppress(InvalidInput):
        parse_keys(text)


def planted(data: bytes) -> None:
    """A mistake that only a search guided by coverage finds, one byte after the other."""
    for expected, found in zip(b"trap", data[:4].ljust(4, b"\0"), strict=True):
        if expected != found:
            return
    raise RuntimeError("found")


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "picture": picture,
    "open_inference_grpc": open_inference_grpc,
    "open_inference_http": open_inference_http,
    "envelopes": envelopes,
    "addresses": addresses,
}
