"""Callers who mean harm, against `vitrine serve` as an operator starts it. After each attack others are answered."""

from __future__ import annotations

import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import httpx
import psutil
import pytest

from service.client import Client, Credentials
from service.core.access import Scope
from service.rpc.open_inference import pb as oip
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from service.security import keys
from tests.integration.security.raw import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    call,
    closed,
    connect,
    frame,
    literal,
)
from tests.serving import Serving, starter
from tests.unit.core.encoded import encode, photo

MIB = 2**20
CONNECTIONS, STREAMS, REQUEST_S = 60, 50, 3
KEY, ENTRY = keys.new("shop", [Scope.INFER], {})
AUTHORIZED = (("authorization", f"Bearer {KEY}"),)
GUIDE = encode(photo(3, 3, 1)[:, :, 0], "PNG")
CLASSIFY = "/vitrine.v1.Classifier/Classify"
#: How much more memory any attack may leave behind, and how long another caller may wait on a busy machine.
KEPT, PROMPT_S = 96 * MIB, 30


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One server with small limits."""
    limits = {
        "KEYS": ENTRY,
        "LOG_LEVEL": "debug",
        "MAX_BATCH_ITEMS": "16",
        "MAX_CONNECTIONS": str(CONNECTIONS),
        "MAX_IMAGE_BYTES": str(MIB // 2),
        "MAX_MESSAGE_BYTES": str(MIB),
        "MAX_STREAMS": str(STREAMS),
        "REQUEST_TIMEOUT_S": str(REQUEST_S),
    }
    with starter(tmp_path_factory.mktemp("hostile")) as start:
        yield start("guide", **limits)


@pytest.fixture
def server(serving: Serving) -> Iterator[Serving]:
    """The server, of which every test must leave as much as it found."""
    process = psutil.Process(serving.process.pid)
    answers(serving)
    before = process.memory_info().rss
    yield serving
    answers(serving)
    assert process.memory_info().rss - before < KEPT


def answers(serving: Serving) -> None:
    """Another caller gets an answer, soon."""
    with Client(serving.grpc, timeout_s=PROMPT_S, credentials=Credentials(KEY)) as shop:
        assert len(shop.classify(GUIDE, model="guide").predictions) > 0
    assert httpx.get(f"{serving.http}/healthz", timeout=PROMPT_S).text == "live\n"


def post(serving: Serving, path: str, content: bytes, **headers: str) -> httpx.Response:
    return httpx.post(serving.http + path, content=content, headers=[*AUTHORIZED, *headers.items()], timeout=60)


def refused(serving: Serving, request: pb.ClassifyRequest, **options: object) -> grpc.StatusCode:
    """The status that a call ends with."""
    with grpc.insecure_channel(serving.grpc, [("grpc.max_send_message_length", -1)]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            ClassifierStub(channel).Classify(request, metadata=AUTHORIZED, timeout=60, **options)
        code: grpc.StatusCode = caught.value.code()
    return code


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        b"POST /v2/models/guide/infer HTTP/1.1\r\nHost: a\r\nX-Api-Key: %b\r\nContent-Length: 9999\r\n\r\n{"
        % KEY.encode(),
    ],
    ids=["nothing", "half a header", "half a body"],
)
def test_slow_requests_are_hung_up_on(server: Serving, begun: bytes) -> None:
    """Slowloris: connections that begin and never end are closed after the time that a request may take to arrive."""
    with ExitStack() as open_:
        slow = [open_.enter_context(connect(server.http)) for _ in range(30)]
        for connection in slow:
            connection.sendall(begun)
        answers(server)
        started = time.monotonic()

        assert all(closed(connection) for connection in slow)
        assert time.monotonic() - started < REQUEST_S + PROMPT_S


@pytest.mark.parametrize("port", ["http", "grpc"])
def test_connections_have_an_end(server: Serving, port: str) -> None:
    """Of more than the limit the last ones are closed at once, and the other port does not notice."""
    with ExitStack() as open_:
        first = open_.enter_context(connect(getattr(server, port)))
        for _ in range(CONNECTIONS):
            last = open_.enter_context(connect(getattr(server, port)))
        assert closed(last)
        if port == "grpc":
            assert first.recv(9)[3] == SETTINGS
        first.settimeout(0.1)
        with pytest.raises(TimeoutError):  # nothing more to read, and open
            closed(first)
        if port == "http":
            with Client(server.grpc, timeout_s=PROMPT_S, credentials=Credentials(KEY)) as shop:
                shop.classify(GUIDE, model="guide")
        else:
            assert httpx.get(f"{server.http}/healthz", timeout=PROMPT_S).is_success


def test_a_message_beyond_the_limit_is_not_received(server: Serving) -> None:
    """A length comes before each gRPC message, and is enough: 2 GiB are announced, five bytes are sent."""
    headers = frame(HEADERS, END_HEADERS, 1, call(CLASSIFY, AUTHORIZED))
    with connect(server.grpc) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + headers)
        connection.sendall(frame(DATA, 0, 1, struct.pack(">BI", 0, 2**31 - 1)))

        assert ends(connection, stream=1)
    assert (
        refused(server, pb.ClassifyRequest(model="guide", image=bytes(2 * MIB))) is grpc.StatusCode.RESOURCE_EXHAUSTED
    )


def test_a_stranger_sends_no_message(server: Serving) -> None:
    """Without a key the call has ended before its message is there: half of it was sent."""
    with connect(server.grpc) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, call(CLASSIFY)))
        connection.sendall(frame(DATA, 0, 1, struct.pack(">BI", 0, 1000) + bytes(500)))

        assert ends(connection, stream=1)


def ends(connection: socket.socket, stream: int) -> bool:
    """Read frames until the server ends this stream; False when it closes the connection before."""
    with connection.makefile("rb") as file:
        while head := file.read(9):
            length, kind, flags, number = int.from_bytes(head[:3]), head[3], head[4], int.from_bytes(head[5:])
            file.read(length)
            if number == stream and (kind == RST_STREAM or (kind == HEADERS and flags & 1)):
                return True
    return False


def test_half_a_message_holds_nobody_up(server: Serving) -> None:
    """Callers with a key stop in the middle of theirs, on each stream that they may have."""
    half = frame(DATA, 0, 0, struct.pack(">BI", 0, MIB) + bytes(10_000))
    with ExitStack() as open_:
        for _ in range(5):
            connection = open_.enter_context(connect(server.grpc))
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
            for stream in range(1, 2 * STREAMS, 2):
                connection.sendall(frame(HEADERS, END_HEADERS, stream, call(CLASSIFY, AUTHORIZED)))
                connection.sendall(half[:5] + struct.pack(">I", stream) + half[9:])
                if stream > 10:  # the connection's window is full by then: no more than headers
                    break
        answers(server)


def test_a_body_beyond_the_limit_is_not_read(server: Serving) -> None:
    """A gigabyte is announced; a little more than the limit is enough for 413."""
    head = f"POST /v1/models/guide/classify HTTP/1.1\r\nHost: a\r\nX-Api-Key: {KEY}\r\nContent-Length: {2**30}\r\n\r\n"
    with connect(server.http) as connection:
        connection.sendall(head.encode() + bytes(MIB // 2 + 1))

        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_floods_of_headers_are_not_kept(server: Serving) -> None:
    """HTTP/1.1 hangs up; HTTP/2's CONTINUATION frames without end (CVE-2024-27316) are parsed and forgotten."""
    with connect(server.http) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert flood(connection, b"X-Flood: %b\r\n" % (b"x" * 1000))
    block = literal("x-flood", "x" * 1000)
    with connect(server.grpc) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, call(CLASSIFY)))
        held = []
        for _ in range(4):
            flood(connection, frame(CONTINUATION, 0, 1, block * 10))
            held.append(psutil.Process(server.process.pid).memory_info().rss)
        assert held[-1] - held[0] < 64 * MIB  # of 192 MiB that were sent meanwhile
        answers(server)


def flood(connection: socket.socket, piece: bytes) -> bool:
    """Send until the server has closed; False after 64 MiB."""
    try:
        for _ in range(64 * MIB // len(piece)):
            connection.sendall(piece)
    except ConnectionError:
        return True
    return False


def test_long_metadata_is_refused(server: Serving) -> None:
    """Before anything of it is looked at."""
    long = (*AUTHORIZED, *((f"x-{number}", "x" * 1000) for number in range(100)))
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        ClassifierStub(channel).Classify(pb.ClassifyRequest(model="guide", image=GUIDE), metadata=long, timeout=60)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_streams_opened_and_reset_at_once(server: Serving) -> None:
    """Rapid reset (CVE-2023-44487): twenty thousand calls, each withdrawn in the same breath."""
    with connect(server.grpc) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        headers = call(CLASSIFY, AUTHORIZED)
        try:
            for stream in range(1, 40_000, 2):
                connection.sendall(
                    frame(HEADERS, END_HEADERS, stream, headers) + frame(RST_STREAM, 0, stream, bytes(4))
                )
        except ConnectionError:
            pass  # hung up on, which is as good
        answers(server)


def test_thousands_of_idle_streams(server: Serving) -> None:
    """As many as the limits of connections and streams allow, all open and silent; one more is refused."""
    headers = call("/vitrine.v1.Classifier/ClassifyStream", AUTHORIZED)
    with ExitStack() as open_:
        for _ in range(CONNECTIONS - 10):
            connection = open_.enter_context(connect(server.grpc))
            numbers = range(1, 2 * STREAMS + 2, 2)
            opened = b"".join(frame(HEADERS, END_HEADERS, number, headers) for number in numbers)
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + opened)
            assert ends(connection, stream=numbers[-1])
        answers(server)


def test_huge_batches_are_counted_first(server: Serving) -> None:
    """By the number of entries, by the shape that is claimed, and by how deep JSON is nested."""
    one = pb.ClassifyRequest(model="guide", image=GUIDE)
    with (
        grpc.insecure_channel(server.grpc) as channel,
        pytest.raises(grpc.RpcError, match="requests: at most 16 items"),
    ):
        ClassifierStub(channel).ClassifyBatch(pb.ClassifyBatchRequest(requests=[one] * 17), metadata=AUTHORIZED)
    shapes = {17: "batch-size must be <= 16", 2**40: "elements", 2**62: "elements"}
    for count, message in shapes.items():
        body = {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [count, 3, 3, 1], "data": [0] * 9 * 17}]}
        reply = post(server, "/v2/models/guide/infer", json.dumps(body).encode())
        assert (reply.status_code, message in reply.json()["error"]) == (400, True)
    nested = post(server, "/v2/models/guide/infer", b'{"inputs":' + b"[" * 200_000)
    assert nested.status_code == 400


def test_bombs_are_not_unpacked(server: Serving) -> None:
    """Zeros in a thousandth of their size: as gzip of HTTP, as gzip of gRPC, and as a PNG of 900 million pixels."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join([*(stream.compress(bytes(MIB)) for _ in range(64)), stream.flush()])
    reply = post(server, "/v2/models/guide/infer", packed, **{"content-encoding": "gzip"})
    assert reply.status_code == 413
    bomb = pb.ClassifyRequest(model="guide", image=bytes(64 * MIB))
    assert refused(server, bomb, compression=grpc.Compression.Gzip) is grpc.StatusCode.RESOURCE_EXHAUSTED
    del bomb
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(30_000 * 3751), 9)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    assert refused(server, pb.ClassifyRequest(model="guide", image=png)) is grpc.StatusCode.INVALID_ARGUMENT


TRICKS = [
    "../guide",
    "../../../../etc/passwd",
    "guide/1/../../guide",
    "/etc/passwd",
    "guide\0",
    "guide/1",
    "..",
    "%2e%2e%2fguide",
    "{vitrine}:models",
    "a" * 100_000,
]


@pytest.mark.parametrize("name", TRICKS, ids=range(len(TRICKS)))
def test_names_of_models_are_no_paths(server: Serving, name: str) -> None:
    """There is no such model, whatever the name looks like to a file system or to Redis."""
    with grpc.insecure_channel(server.grpc) as channel:
        ask = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=oip.ModelInferRequest.SerializeToString,
            response_deserializer=oip.ModelInferResponse.FromString,
        )
        for request in (oip.ModelInferRequest(model_name=name), oip.ModelInferRequest(model_name="guide", id="x")):
            with pytest.raises(grpc.RpcError) as caught:
                ask(request, metadata=AUTHORIZED, timeout=60)
            assert caught.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    code = refused(server, pb.ClassifyRequest(model=name, image=GUIDE))
    assert code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/../../etc/passwd",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/%2e%2e/guide",
        "/v1/models/guide%00",
        "/v2/models/guide/versions/..%2f1",
        "/v2/models/guide/versions/-1",
        "/v2/models/guide/versions/99999999999999999999",
        "//etc/passwd",
        "/v1/../metrics/../v1/models",
    ],
)
def test_paths_lead_nowhere_else(server: Serving, path: str) -> None:
    """Sent as they are, which no honest client does; nothing that is answered comes from a file."""
    with connect(server.http) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {KEY}\r\nConnection: close\r\n\r\n".encode())
        with connection.makefile("rb") as file:
            reply = file.read()

    assert reply.split()[1] in (b"400", b"403", b"404")
    assert b"root:" not in reply


def test_secrets_are_in_no_log_and_no_metric(server: Serving) -> None:
    """Also when a caller puts them where they do not belong; the log is that of all tests before, at level debug."""
    held = {"x-api-key": "vitrine_wrong-" + KEY[8:]}
    httpx.get(f"{server.http}/v1/models?api_key={KEY}", headers=held)
    httpx.get(f"{server.http}/v1/models/{KEY}", headers={"x-api-key": KEY, "user-agent": KEY})
    refused(server, pb.ClassifyRequest(model=KEY, image=GUIDE, id=KEY))
    refused(server, pb.ClassifyRequest(model="guide", image=KEY.encode(), id="a"))
    metrics = httpx.get(f"{server.http}/metrics").text

    secrets = (KEY, keys.digest(KEY), held["x-api-key"])
    assert [secret in text for secret in secrets for text in ("".join(server.log), metrics)] == [False] * 6
    bugs = [line for line in server.log if "Traceback" in line]
    assert bugs == []
