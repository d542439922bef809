"""Looking into real networks over a real socket."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from service.api.guard import describe
from service.api.introspection import IntrospectionServicer
from service.core.allowance import Allowance
from service.core.errors import Overloaded
from service.introspect.desk import NICENESS, REST, Desk
from service.rpc.pb.vitrine.v1 import attribution_pb2
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb
from service.rpc.pb.vitrine.v1.introspection_pb2_grpc import IntrospectionStub, add_IntrospectionServicer_to_server
from tests import glass

pytestmark = pytest.mark.train


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk(threads=1, max_waiting=0)
    yield desk
    desk.close()


@pytest.fixture
async def stub(desk: Desk) -> AsyncIterator[IntrospectionStub]:
    server = grpc.aio.server()
    add_IntrospectionServicer_to_server(IntrospectionServicer(glass.introspector(), desk), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield IntrospectionStub(channel)
    await server.stop(0)


def picture() -> pb.Picture:
    return pb.Picture(image=glass.picture())


def guide_picture() -> pb.Picture:
    return pb.Picture(image=glass.guide_picture())


async def test_layers_are_listed(stub: IntrospectionStub) -> None:
    """With all that is known about each."""
    answer = await stub.ListLayers(
        pb.ListLayersRequest(model="sided", layers=pb.LayerSelector(include=["sided"], roles=[pb.ROLE_CONVOLUTION]))
    )

    (layer,) = answer.layers
    assert (answer.model, answer.version, answer.names_modules) == ("sided", 1, True)
    assert answer.digest == glass.subject("sided").source.digest
    assert layer == pb.Layer(
        id="sided",
        path="sided",
        class_name="SidedConv2d",
        is_module=True,
        roles=[pb.ROLE_CONVOLUTION, pb.ROLE_PRE_ACTIVATION],
        ops=["Pad", "Conv"],
        tensor=layer.tensor,
        shape=[6, 10, 10],
        dtype="float32",
        inputs=layer.inputs,
        window=pb.Window(kernel=[3, 3], stride=[2, 2], dilation=[1, 1], pads=[0, 1, 2, 3]),
        groups=1,
        formulas=["floor((19+0+2-1*(3-1)-1)/2)+1 = 10", "floor((17+1+3-1*(3-1)-1)/2)+1 = 10"],
        parameters=168,
        macs=16200,
        field=pb.ReceptiveField(size=[3, 3], jump=[2, 2], start=[0, -1]),
        folded_into="leaky",
    )


async def test_the_guides_maps_come_as_a_stream(stub: IntrospectionStub) -> None:
    """Header, layer, bytes, checksum, end: 19 25 / 37 43."""
    request = pb.GetFeatureMapsRequest(
        model="guide",
        pictures=[guide_picture()],
        layers=pb.LayerSelector(include=["conv"]),
        encoding=pb.Encoding(kind=pb.Encoding.KIND_FLOAT32),
    )

    header, layer, chunk, layer_end, end = [event async for event in stub.GetFeatureMaps(request)]

    assert header.header.parity.max_logit_difference <= 1e-4
    assert (header.header.total_bytes, header.header.layers) == (16, 1)
    assert header.header.pictures[0].predictions[0].label == "d"
    assert (layer.layer.layer.id, list(layer.layer.shape), list(layer.layer.channels)) == ("conv", [1, 2, 2], [0])
    assert layer.layer.statistics.max == 43
    assert np.frombuffer(chunk.chunk.data, "<f4").tolist() == [19, 25, 37, 43]
    assert layer_end.layer_end.crc32 == zlib.crc32(chunk.chunk.data)
    assert end.end.sent_bytes == 16
    assert end.end.build_seconds > 0


async def test_every_wish_reaches_the_inside(stub: IntrospectionStub) -> None:
    """Two channels by maximum, a region of the picture, bytes about zero, statistics to the full."""
    request = pb.GetFeatureMapsRequest(
        model="residual",
        version=1,
        pictures=[picture()],
        layers=pb.LayerSelector(include=["conv*"], exclude=["conv1"]),
        channels=pb.ChannelSelector(top_k=pb.TopK(k=2, key=pb.TopK.KEY_MAX)),
        region=pb.Region(box=pb.Box(y0=0, x0=0, y1=1, x1=1), of_input=True),
        encoding=pb.Encoding(kind=pb.Encoding.KIND_UINT8, range=pb.Encoding.RANGE_SYMMETRIC),
        statistics=pb.StatisticsOptions(per_channel=True, percentiles=True, histogram=True),
        kernels=pb.KERNELS_AS_SERVED,
    )

    _, layer, chunk, _, _ = [event async for event in stub.GetFeatureMaps(request)]

    assert layer.layer.layer.id == "conv2"
    assert layer.layer.box == pb.Box(y0=0, x0=0, y1=3, x1=3)
    assert (list(layer.layer.shape), len(chunk.chunk.data)) == ([2, 3, 3], 18)
    assert layer.layer.offset[0] == pytest.approx(-127.5 * layer.layer.scale[0])
    assert len(layer.layer.per_channel) == 2
    assert (len(layer.layer.statistics.percentiles), sum(layer.layer.statistics.histogram)) == (7, 18)


@pytest.mark.parametrize(
    ("selector", "channels"),
    [
        (pb.ChannelSelector(indices=pb.ChannelList(indices=[4, 1])), [4, 1]),
        (pb.ChannelSelector(range=pb.ChannelRange(start=6)), [6, 7]),
        (pb.ChannelSelector(), list(range(8))),
    ],
)
async def test_a_dry_run_needs_no_picture(
    stub: IntrospectionStub, selector: pb.ChannelSelector, channels: list[int]
) -> None:
    """And tells channels and sizes."""
    request = pb.GetFeatureMapsRequest(
        model="residual",
        layers=pb.LayerSelector(include=["conv2"]),
        channels=selector,
        encoding=pb.Encoding(kind=pb.Encoding.KIND_FLOAT16),
        dry_run=True,
    )

    header, layer, end = [event async for event in stub.GetFeatureMaps(request)]

    assert list(layer.layer.channels) == channels
    assert header.header.total_bytes == layer.layer.size_bytes == 180 * len(channels)
    assert not header.header.HasField("parity")
    assert end.end.sent_bytes == 0


async def test_one_upload_serves_maps_and_units(stub: IntrospectionStub) -> None:
    """The guide's four dot products, by the picture's id."""
    request = pb.GetFeatureMapsRequest(model="guide", pictures=[guide_picture()])
    header, *_ = [event async for event in stub.GetFeatureMaps(request)]
    id_ = header.header.pictures[0].id

    answers = [
        await stub.ExplainUnit(pb.ExplainUnitRequest(model="guide", picture=pb.Picture(id=id_), layer="conv", y=y, x=x))
        for y in (0, 1)
        for x in (0, 1)
    ]

    assert [list(answer.conv.patches[0].products) for answer in answers] == [
        [0, 1, 6, 12],
        [0, 2, 8, 15],
        [0, 4, 12, 21],
        [0, 5, 14, 24],
    ]
    assert [answer.value for answer in answers] == [19, 25, 37, 43]
    assert {answer.residual for answer in answers} == {0}
    assert answers[3].input_field == pb.Box(y0=1, x0=1, y1=3, x1=3)
    assert list(answers[3].conv.patches[0].kernel) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("model", "layer", "kind"),
    [
        ("sided", "sided", "conv"),
        ("sided", "maxpool", "pool"),
        ("sided", "avgpool", "pool"),
        ("sided", "leaky", "activation"),
        ("residual", "bn1", "norm"),
        ("sided", "hidden", "dense"),
        ("branches", "share", "softmax"),
        ("sided", "flatten", "merge"),
    ],
)
async def test_every_kind_of_unit_travels(stub: IntrospectionStub, model: str, layer: str, kind: str) -> None:
    """With what is needed to compute it again."""
    request = pb.ExplainUnitRequest(model=model, picture=picture(), layer=layer, channel=1)

    answer = await stub.ExplainUnit(request)

    assert answer.WhichOneof("unit") == kind
    assert answer.residual <= 1e-4 * max(1, abs(answer.value))
    assert _again(answer) == pytest.approx(answer.computed, rel=1e-9)


def _again(answer: pb.ExplainUnitResponse) -> float:  # noqa: PLR0911 - one case per kind
    """What a person with a pocket calculator gets from the message."""
    match answer.WhichOneof("unit"):
        case "conv":
            return sum(patch.sum for patch in answer.conv.patches) + answer.conv.bias
        case "pool" if answer.pool.HasField("winner"):
            return float(answer.pool.values[answer.pool.winner])
        case "pool":
            return sum(answer.pool.values) / answer.pool.divisor
        case "activation":
            return answer.activation.x if answer.activation.x > 0 else 0.1 * answer.activation.x
        case "norm":
            norm = answer.norm
            return (norm.x - norm.mean) / math.sqrt(norm.variance + norm.epsilon) * norm.scale + norm.shift
        case "dense":
            products = [i * w for i, w in zip(answer.dense.inputs, answer.dense.weights, strict=True)]
            return sum(products[index] for index in answer.dense.order) + answer.dense.bias
        case "softmax":
            powers = np.exp(np.array(answer.softmax.x))
            return float((powers / powers.sum())[answer.softmax.index])
        case _:
            (term,) = answer.merge.terms
            return term.value


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            pb.GetFeatureMapsRequest(model="residual", pictures=[picture()], layers=pb.LayerSelector(include=["cnv1"])),
            grpc.StatusCode.NOT_FOUND,
            "layer: none is called 'cnv1'; nearest are conv1, conv2",
        ),
        (pb.GetFeatureMapsRequest(model="cats"), grpc.StatusCode.INVALID_ARGUMENT, "pictures: at least one"),
        (
            pb.GetFeatureMapsRequest(model="residual", pictures=[pb.Picture()]),
            grpc.StatusCode.INVALID_ARGUMENT,
            "pictures[0]: an image or the id",
        ),
        (
            pb.GetFeatureMapsRequest(model="residual", pictures=[pb.Picture(id="5f")]),
            grpc.StatusCode.NOT_FOUND,
            "picture.id: no picture '5f' is kept",
        ),
        (
            pb.GetFeatureMapsRequest(
                model="residual", pictures=[picture()], max_bytes=9, encoding=pb.Encoding(kind=pb.Encoding.KIND_UINT8)
            ),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "max_bytes: the answer takes",
        ),
        (
            pb.GetFeatureMapsRequest(
                model="residual",
                pictures=[picture()],
                layers=pb.LayerSelector(include=["stem.0"]),
                kernels=pb.KERNELS_AS_SERVED,
            ),
            grpc.StatusCode.FAILED_PRECONDITION,
            "layer stem.0: served, it is folded into act",
        ),
        (
            pb.GetFeatureMapsRequest(model="residual", layers=pb.LayerSelector(roles=[99])),  # type: ignore[list-item]
            grpc.StatusCode.INVALID_ARGUMENT,
            "layers.roles: a role that this server knows, got 99",
        ),
        (
            pb.GetFeatureMapsRequest(model="residual", encoding=pb.Encoding(kind=77)),  # type: ignore[arg-type]
            grpc.StatusCode.INVALID_ARGUMENT,
            "encoding.kind: a value that this server knows, got 77",
        ),
    ],
)
async def test_errors_have_their_codes(
    stub: IntrospectionStub, request_: pb.GetFeatureMapsRequest, code: grpc.StatusCode, message: str
) -> None:
    """And say what would be right."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [event async for event in stub.GetFeatureMaps(request_)]

    assert caught.value.code() is code
    assert message in str(caught.value.details())


class Slow:
    """Events that wait to be let through, and know how many were computed."""

    def __init__(self) -> None:
        self.computed = 0
        self.started = threading.Event()
        self.gate = threading.Event()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.started.set()
        assert self.gate.wait(timeout=30)
        self.computed += 1
        return self.computed


async def _until_started(slow: Slow) -> None:
    assert await asyncio.to_thread(slow.started.wait, 30)


async def test_who_leaves_stops_the_computation(desk: Desk) -> None:
    """The step that was begun is finished, no further one is begun, and the place is free again."""
    slow = Slow()
    reader = asyncio.create_task(anext(desk.stream(slow)))
    await _until_started(slow)

    reader.cancel()
    slow.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert slow.computed == 1
    assert await desk.run(lambda: "free") == "free"


async def test_too_many_are_told_to_come_again(desk: Desk) -> None:
    """One runs, none may wait here: the second is refused at once."""
    slow = Slow()
    reader = asyncio.create_task(anext(desk.stream(slow)))
    await _until_started(slow)

    with pytest.raises(Overloaded, match="1 requests are being answered or waiting"):
        await desk.run(lambda: None)

    slow.gate.set()
    assert await reader == 1


async def test_it_tidies_up_when_nobody_asks() -> None:
    """After each time, and not while somebody still does."""
    tidied: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    desk = Desk(rest=lambda: loop.call_soon_threadsafe(tidied.put_nowait, slow.computed), rest_after_s=0.0)
    slow = Slow()
    for _ in range(2):
        assert await desk.run(lambda: "asked") == "asked"
        assert await asyncio.wait_for(tidied.get(), 30) == 0

    async with aclosing(desk.stream(slow)) as stream:
        reader = asyncio.create_task(anext(stream))
        await _until_started(slow)
        await desk.run(lambda: "asked meanwhile")
        slow.gate.set()
        await reader

    assert await asyncio.wait_for(tidied.get(), 30) == 1
    assert tidied.empty()
    desk.close()


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of single threads are Linux's")
async def test_its_threads_step_back(desk: Desk) -> None:
    """The thread that looks in has a lower priority than the one that asks."""

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert await desk.run(niceness) == niceness() + NICENESS


@pytest.mark.parametrize("busy", [True, False])
async def test_a_stream_rests_while_lanes_are_at_work(*, busy: bool) -> None:
    """After each piece of work for a multiple of the time that it took; never when nobody classifies."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    def works(seconds: float) -> Iterator[str]:
        for event in ("long", "long", "short"):
            end = time.thread_time() + (seconds if event == "long" else 0.0)
            while time.thread_time() < end:
                pass
            yield event

    desk = Desk(threads=1, busy=lambda: busy, sleep=sleep)
    async with aclosing(desk.stream(works(0.02))) as stream:
        assert [event async for event in stream] == ["long", "long", "short"]
    desk.close()

    assert len(rests) == (2 if busy else 0)
    assert all(seconds >= 0.02 * REST for seconds in rests)


async def test_a_caller_that_reads_nothing_loses_its_place() -> None:
    """Flow control stops the stream; after a while the place goes to the next."""
    desk = Desk(threads=1, max_waiting=1)
    server = grpc.aio.server()
    servicer = IntrospectionServicer(glass.introspector(), desk, stall_s=2.0)
    add_IntrospectionServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = pb.GetFeatureMapsRequest(
        model="residual",
        pictures=[picture()] * 64,
        layers=pb.LayerSelector(include=["act"]),
        # 100 MB in all, more than any buffer on the way holds.
        channels=pb.ChannelSelector(indices=pb.ChannelList(indices=[0] * 1200)),
        encoding=pb.Encoding(kind=pb.Encoding.KIND_FLOAT32),
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = IntrospectionStub(channel).GetFeatureMaps(request)
        assert (await call.read()).HasField("header")

        assert await asyncio.wait_for(desk.run(lambda: "free"), timeout=30) == "free"

        with pytest.raises(grpc.aio.AioRpcError, match=r"the caller took nothing for 2 s"):
            await _drain(call)
    await server.stop(0)
    desk.close()


async def _drain(call: grpc.aio.UnaryStreamCall[pb.GetFeatureMapsRequest, pb.FeatureMapsEvent]) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


def test_a_caller_who_leaves_while_a_message_is_written_is_no_bug() -> None:
    """What gRPC raises then is told as CANCELLED, and not logged as an internal error."""
    with capture_logs() as logs:
        status = describe(grpc.aio.InternalError("execute_batch"))

    assert status.code == grpc.StatusCode.CANCELLED.value[0]
    assert logs == []


async def test_whoever_asks_too_often_is_told_when_to_come_again() -> None:
    """The others, and the server itself, are not held up."""
    desk = Desk(threads=1, allowance=Allowance(per_minute=6), now=lambda: 0.0)
    assert await desk.run(lambda: 1, "a") == 1

    with pytest.raises(Overloaded, match="introspection: a asks more than 6 times a minute") as caught:
        await desk.run(lambda: 2, "a")

    assert caught.value.retry_after_s == 10
    assert [await desk.run(lambda: 3, "b"), await desk.run(lambda: 4), await desk.run(lambda: 5)] == [3, 4, 5]
    desk.close()


async def test_every_question_is_logged(stub: IntrospectionStub) -> None:
    """Who asked, which model, which layers, how many bytes went out; also when it was refused on the way."""
    maps = pb.GetFeatureMapsRequest(
        model="guide", pictures=[guide_picture()], encoding=pb.Encoding(kind=pb.Encoding.KIND_FLOAT32)
    )
    with capture_logs() as lines:
        await stub.ListLayers(pb.ListLayersRequest(model="guide"))
        await _drain(stub.GetFeatureMaps(maps))
        await stub.ExplainUnit(pb.ExplainUnitRequest(model="guide", picture=guide_picture(), layer="conv", y=1))
        with pytest.raises(grpc.aio.AioRpcError):
            await _drain(stub.GetFeatureMaps(pb.GetFeatureMapsRequest(model="guide", pictures=[pb.Picture(id="5f")])))

    known, shown = {"who": "ipv4:127.0.0.1", "log_level": "info"}, {"layers": 2, "names": ["conv", "flatten"]}
    assert lines == [
        {**known, "event": "layers", "model": "guide:1", "layers": 2},
        {**known, **shown, "event": "feature maps", "model": "guide", "sent_bytes": 32},
        {**known, "event": "unit", "model": "guide:1", "layer": "conv", "place": (0, 1, 0)},
        {**known, "event": "feature maps", "model": "guide", "layers": 0, "names": [], "sent_bytes": 0},
    ]


async def test_evidence_arrives_with_its_progress(stub: IntrospectionStub) -> None:
    """What was chosen and why, what is done, and a map that adds up to the logit."""
    request = attribution_pb2.AttributeRequest(
        model="residual",
        picture=picture(),
        target=attribution_pb2.ClassRef(label="b"),
        overlay=attribution_pb2.OverlayOptions(),
    )

    header, progress, result = [event async for event in stub.Attribute(request)]

    assert header.header.method == attribution_pb2.ATTRIBUTION_METHOD_CAM
    assert header.header.reason == "the head is global average pooling and one dense layer"
    assert (header.header.target, list(header.header.labels), header.header.runs) == (1, ["b"], 1)
    assert progress.progress.done == 1
    found = result.result
    values = np.frombuffer(found.map.values, "<f4")
    assert values.size == found.map.height * found.map.width == 90
    assert values.sum() + found.bias == pytest.approx(found.score, abs=1e-4)
    assert found.overlay.png.startswith(b"\x89PNG")


async def test_who_leaves_stops_the_masks(stub: IntrospectionStub, desk: Desk) -> None:
    """The place at the desk is free for the next one long before all masks would have been tried."""
    request = attribution_pb2.AttributeRequest(
        model="residual",
        picture=picture(),
        method=attribution_pb2.ATTRIBUTION_METHOD_RISE,
        rise=attribution_pb2.Rise(masks=19_000),
    )
    call = stub.Attribute(request)
    events = [await call.read() for _ in range(3)]
    call.cancel()

    async with asyncio.timeout(30):
        while desk._admitted:
            await asyncio.sleep(0)
    assert events[-1].progress.done == 33


async def test_a_class_that_is_none_is_told_with_its_neighbours(stub: IntrospectionStub) -> None:
    """INVALID_ARGUMENT, by the field."""
    request = attribution_pb2.AttributeRequest(
        model="residual", picture=picture(), target=attribution_pb2.ClassRef(label="e")
    )

    with pytest.raises(grpc.aio.AioRpcError, match=r"target\.label: a label of the model") as caught:
        await stub.Attribute(request).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
