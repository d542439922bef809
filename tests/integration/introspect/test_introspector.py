from __future__ import annotations

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.core.encodings import Encoding, Kind, Range
from service.core.errors import InvalidInput, NoSuchLayer, NoSuchModel, NoSuchPicture, OverBudget, Refused, TooLate
from service.core.geometry import Box
from service.core.introspection import (
    Chunk,
    Kernels,
    LayerEnd,
    LayerHeader,
    MapsRequest,
    Picture,
    RunEnd,
    RunHeader,
    UnitRequest,
)
from service.core.layers import Role, Selector
from service.core.maps import Key, Region, TopK, Wanted
from service.introspect.introspector import Budget, Introspector
from tests import glass, nets

FLOATS = Encoding(Kind.FLOAT32)


def ask(model: str = "residual", *layers: str, **more: object) -> MapsRequest:
    request = MapsRequest(model, 0, (Picture(glass.picture()),), Selector(layers), encoding=FLOATS)
    return replace(request, **more)  # type: ignore[arg-type]  # a test's own fields


class Received:
    """The events of one answer, put together as a client does."""

    def __init__(self, introspector: Introspector, request: MapsRequest) -> None:
        first, *events, last = introspector.maps(request)
        assert isinstance(first, RunHeader)
        assert isinstance(last, RunEnd)
        self.header, self.end = first, last
        self.layers: list[tuple[LayerHeader, bytes]] = []
        self.checked = 0
        data = bytearray()
        for event in events:
            if isinstance(event, LayerHeader):
                header, data = event, bytearray()
                self.layers.append((header, b""))
            elif isinstance(event, Chunk):
                assert (event.ordinal, event.offset) == (header.ordinal, len(data))
                data += event.data
            elif isinstance(event, LayerEnd):
                assert event.crc32 == zlib.crc32(data)
                assert len(data) == header.size_bytes
                self.layers[-1] = (header, bytes(data))
                self.checked += 1

    @property
    def ids(self) -> list[str]:
        return [header.layer.id for header, _ in self.layers]

    def array(self, index: int = 0) -> NDArray[np.float32]:
        header, data = self.layers[index]
        return np.frombuffer(data, "<f4").reshape(header.shape)


@pytest.fixture
def introspector() -> Introspector:
    return glass.introspector()


def test_the_guides_maps(introspector: Introspector) -> None:
    """The pixels 0 to 8 give 19 25 / 37 43, as numbers and as a NumPy file of [1, 1, 2, 2]."""
    request = ask("guide", "conv", pictures=(Picture(glass.guide_picture()),))

    assert Received(introspector, request).array().tolist() == [[[19, 25], [37, 43]]]
    file = Received(introspector, replace(request, encoding=Encoding(Kind.NPY))).layers[0][1]
    assert np.load(io.BytesIO(file)).tolist() == [[[[19, 25], [37, 43]]]]


def test_a_request_without_wishes_gives_statistics_of_every_module_call(introspector: Introspector) -> None:
    """The cheap default: no bytes, and the logits are those served."""
    received = Received(introspector, ask(encoding=Encoding()))

    assert received.ids == [layer.id for layer in introspector.layers("residual", 0, Selector()).layers]
    assert received.header.total_bytes == received.end.sent_bytes == 0
    assert received.header.layers == len(received.ids) == received.checked
    for header, _ in received.layers:
        assert header.statistics is not None
        assert header.statistics.count == header.layer.type.size
    assert received.header.parity is not None
    assert received.header.parity.here
    assert received.header.parity.max_logit_difference <= 1e-5
    assert received.header.pictures[0].predictions[0].score > 0.25


@pytest.mark.parametrize("kernels", [Kernels.REFERENCE, Kernels.UNFUSED])
@pytest.mark.parametrize("model", sorted(nets.NETS))
def test_statistics_alone_are_those_of_the_values(introspector: Introspector, model: str, kernels: Kernels) -> None:
    """Though what only moves values, or adds zeros to them, is not looked at a second time."""
    whole = Received(introspector, ask(model, "**", encoding=Encoding(), kernels=kernels))
    values = Received(introspector, ask(model, "**"))

    assert whole.header.kernels is kernels
    assert whole.ids == values.ids
    for (header, _), (other, data) in zip(whole.layers, values.layers, strict=True):
        alone, among = header.statistics, other.statistics
        assert alone is not None
        assert among is not None
        assert (alone.count, alone.nans, header.shape, header.channels, header.box) == (
            len(data) // 4,
            0,
            other.shape,
            other.channels,
            other.box,
        )
        assert alone.zeros == pytest.approx(among.zeros, abs=1), header.layer.id
        scale = among.l2 / np.sqrt(among.count)
        found = (alone.mean, alone.std, alone.min, alone.max, alone.l2)
        assert found == pytest.approx((among.mean, among.std, among.min, among.max, among.l2), 1e-5, 1e-5 * scale)


def test_statistics_come_from_unfused_kernels_and_values_from_the_reference(introspector: Introspector) -> None:
    """Unless a caller says otherwise; the header tells."""
    assert Received(introspector, ask(encoding=Encoding())).header.kernels is Kernels.UNFUSED
    assert Received(introspector, ask()).header.kernels is Kernels.REFERENCE
    dry = next(iter(introspector.maps(ask(encoding=Encoding(), dry_run=True))))
    assert isinstance(dry, RunHeader)
    assert dry.kernels is Kernels.UNFUSED


def test_a_kept_picture_is_classified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many questions follow; one that is not to be kept is, each time, and so is one of a forgotten model."""
    runs: list[int] = []
    subject = glass.subject("residual")
    run = subject.engine.run

    def counted(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        runs.append(len(batch))
        return run(batch)

    monkeypatch.setattr(subject.engine, "run", counted)
    inside = glass.introspector()
    once = Received(inside, ask("residual", "act"))
    again = Received(inside, ask("residual", "fc", pictures=(Picture(id=once.header.pictures[0].picture_id),)))
    assert again.header.pictures == once.header.pictures
    assert runs == [1]

    secret = (Picture(glass.picture(9), keep=False),)
    for _ in range(2):
        Received(inside, ask("residual", "act", pictures=secret))
    assert runs == [1, 1, 1]

    inside.forget(subject.source.digest)
    Received(inside, ask("residual", "act"))
    assert runs == [1, 1, 1, 1]


def test_maps_are_the_reference_values(introspector: Introspector) -> None:
    """Alone or among others, in both kernels, from the network cut short or whole."""
    alone = Received(introspector, ask("mobile", "stem.2"))
    among = Received(introspector, ask("mobile", "**"))
    as_served = Received(introspector, ask("mobile", "stem.2", kernels=Kernels.AS_SERVED))

    np.testing.assert_allclose(among.array(among.ids.index("stem.2")), alone.array(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(as_served.array(), alone.array(), rtol=1e-4, atol=1e-5)
    assert alone.header.parity is not None
    assert not alone.header.parity.here
    assert alone.header.parity.max_logit_difference <= 1e-5


def test_several_pictures_follow_each_other(introspector: Introspector) -> None:
    """Every layer of the first, then every layer of the second."""
    pictures = (Picture(glass.picture(1)), Picture(glass.picture(2)))
    received = Received(introspector, ask("residual", "act", "fc", pictures=pictures))

    assert [(header.picture, header.layer.id) for header, _ in received.layers] == [
        (0, "act"),
        (0, "fc"),
        (1, "act"),
        (1, "fc"),
    ]
    assert [header.ordinal for header, _ in received.layers] == [0, 1, 2, 3]
    assert not np.array_equal(received.array(0), received.array(2))
    assert len(received.header.pictures) == 2


def test_layers_too_large_to_hold_at_once_are_fetched_one_after_the_other() -> None:
    """With the same values as together."""
    frugal = glass.introspector(Budget(max_tapped_bytes=1))

    together = Received(glass.introspector(), ask("residual", "conv*"))
    apart = Received(frugal, ask("residual", "conv*"))

    assert apart.ids == together.ids == ["conv1", "conv2"]
    for index in (0, 1):
        np.testing.assert_allclose(together.array(index), apart.array(index), rtol=1e-5, atol=1e-6)


def test_channels_and_region_are_cut_out(introspector: Introspector) -> None:
    """The two channels with the largest maximum, three rows and two columns."""
    whole = Received(introspector, ask("residual", "conv2")).array()
    wanted = Wanted(TopK(2, Key.MAX), Region(Box(2, 3, 5, 5)), per_channel=True)

    received = Received(introspector, ask("residual", "conv2", wanted=wanted))

    header = received.layers[0][0]
    assert header.channels == tuple(np.argsort(-whole.max(axis=(1, 2)))[:2])
    np.testing.assert_array_equal(whole[list(header.channels), 2:5, 3:5], received.array())
    assert [each.count for each in header.per_channel] == [6, 6]


def test_channels_by_contribution_add_up_to_the_logit(introspector: Introspector) -> None:
    """Before global average pooling and one dense layer, the first channel is the one that raises the class most."""
    by = [TopK(8, Key.CONTRIBUTION, class_index) for class_index in range(4)]
    orders = [Received(introspector, ask("residual", "act#2", wanted=Wanted(top))).layers[0][0].channels for top in by]

    unit = introspector.unit(UnitRequest("residual", 0, Picture(glass.picture()), "fc", (2, 0, 0))).explained.unit
    products = unit.inputs * unit.weights  # type: ignore[union-attr]
    assert orders[2] == tuple(np.argsort(-products, kind="stable"))
    assert len(set(orders)) > 1
    with pytest.raises(InvalidInput, match=r"channels\.top_k\.key"):
        Received(introspector, ask("residual", "conv2", wanted=Wanted(by[0])))
    with pytest.raises(InvalidInput, match=r"channels.top_k.class_index: 0 to 3, got 4"):
        Received(introspector, ask("residual", "act#2", wanted=Wanted(TopK(1, Key.CONTRIBUTION, 4))))


def test_one_upload_serves_many_questions(introspector: Introspector) -> None:
    """The header tells the id; a picture that was not to be kept is not."""
    first = Received(introspector, ask("residual", "conv1"))
    id_ = first.header.pictures[0].picture_id

    again = Received(introspector, ask("residual", "conv1", pictures=(Picture(id=id_),)))

    np.testing.assert_array_equal(first.array(), again.array())
    secret = Received(introspector, ask("residual", "conv1", pictures=(Picture(glass.picture(9), keep=False),)))
    assert secret.header.pictures[0].picture_id == ""
    with pytest.raises(NoSuchPicture):
        Received(introspector, ask("residual", "conv1", pictures=(Picture(id="5f" * 32),)))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_dry_run_tells_the_sizes(introspector: Introspector, kind: Kind) -> None:
    """Without a picture; exactly, but for PNG, whose bound holds."""
    encoding = Encoding(kind, Range.PER_LAYER, min_side=8)
    dry = Received(introspector, ask("sided", "**", pictures=(), encoding=encoding, dry_run=True))
    real = Received(introspector, ask("sided", "**", encoding=encoding))

    assert dry.ids == real.ids
    assert dry.header.total_bytes == real.header.total_bytes
    if kind is Kind.PNG:
        assert 0 < real.end.sent_bytes <= dry.header.total_bytes
    else:
        assert real.end.sent_bytes == dry.header.total_bytes
        assert [(h.shape, h.channels, h.box) for h, _ in dry.layers] == [
            (h.shape, h.channels, h.box) for h, _ in real.layers
        ]


def test_an_answer_over_budget_is_refused_with_one_that_fits(introspector: Introspector) -> None:
    """Which then does."""
    with pytest.raises(OverBudget) as caught:
        Received(introspector, ask("residual", "conv2", max_bytes=2000))
    assert str(caught.value) == ("max_bytes: the answer takes 2880 bytes, allowed are 2000; encoding UINT8 takes 720")
    Received(introspector, ask("residual", "conv2", max_bytes=2000, encoding=Encoding(Kind.UINT8)))

    with pytest.raises(OverBudget, match="encoding UINT8 and top_k 4 takes 360"):
        Received(introspector, ask("residual", "conv2", max_bytes=400))
    with pytest.raises(OverBudget, match="STATISTICS take none"):
        Received(introspector, ask("residual", "conv2", max_bytes=10))
    with pytest.raises(OverBudget, match="allowed are 5"):
        Received(glass.introspector(Budget(max_answer_bytes=5)), ask("residual", "conv2"))


def test_large_layers_come_in_chunks(introspector: Introspector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of whole channels, where they fit; the checksum is that of all."""
    monkeypatch.setattr("service.introspect.values.CHUNK_BYTES", 800)

    pieces = [event for event in introspector.maps(ask("residual", "conv2")) if isinstance(event, Chunk)]

    assert [len(piece.data) for piece in pieces] == [720, 720, 720, 720]
    Received(introspector, ask("residual", "conv2"))


def test_the_deadline_is_looked_at_between_layers() -> None:
    """The layer that was begun is sent to its end; the next is not begun."""
    time = [0.0]
    events = glass.introspector(now=lambda: time[0]).maps(ask("residual", "conv*", deadline=50.0))
    assert isinstance(next(events), RunHeader)
    assert isinstance(next(events), LayerHeader)

    time[0] = 50.0

    assert isinstance(next(events), Chunk)
    assert isinstance(next(events), LayerEnd)
    with pytest.raises(TooLate, match="it passed while layers were being looked at"):
        next(events)


def test_a_second_request_builds_nothing(introspector: Introspector) -> None:
    """The header of the first says what building took."""
    first = Received(introspector, ask("residual", "conv2"))
    second = Received(introspector, ask("residual", "conv2"))

    assert first.end.build_s > 0
    assert second.end.build_s == 0


def test_folded_layers_are_not_shown_as_served(introspector: Introspector) -> None:
    """By name it is an error that says where they went; a pattern leaves them out."""
    with pytest.raises(Refused, match=r"layer stem.0: served, it is folded into act; REFERENCE kernels show it"):
        Received(introspector, ask("residual", "stem.0", kernels=Kernels.AS_SERVED))

    ids = Received(introspector, ask("residual", "**", kernels=Kernels.AS_SERVED)).ids
    assert "act" in ids
    assert "stem.0" not in ids


def test_listing_chooses(introspector: Introspector) -> None:
    """By any of the selector's means."""
    listing = introspector.layers("residual", 1, Selector(roles=frozenset({Role.LOGITS})))

    assert (str(listing.key), [layer.id for layer in listing.layers]) == ("residual:1", ["fc"])
    assert listing.names_modules
    assert listing.digest == glass.subject("residual").source.digest


def test_a_unit_knows_where_its_inputs_come_from(introspector: Introspector) -> None:
    """Its receptive field is clipped to the picture, its tensors are named as layers."""
    answer = introspector.unit(UnitRequest("residual", 0, Picture(glass.picture()), "conv1", (3, 0, 8)))

    assert answer.field == Box(0, 14, 3, 17)
    assert answer.tensors[answer.layer.inputs[0]] == "act"
    assert answer.explained.residual <= 1e-5
    assert answer.parity.max_logit_difference <= 1e-5


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (ask("cats"), NoSuchModel, "no model is called 'cats'"),
        (ask("residual", "conv9"), NoSuchLayer, "none is called 'conv9'; nearest are conv2, conv1"),
        (ask("residual", layers=Selector(roles=frozenset({Role.GATE}))), NoSuchLayer, "the selection matches none"),
        (ask("residual", pictures=()), InvalidInput, "pictures: at least one"),
        (ask("residual", pictures=(Picture(b"no"),)), InvalidInput, "image"),
        (ask("residual", pictures=(Picture(b"no"),) * 65), InvalidInput, "pictures: at most 64, got 65"),
    ],
)
def test_what_cannot_be_answered(
    introspector: Introspector, request_: MapsRequest, error: type[Exception], message: str
) -> None:
    """The caller reads why."""
    with pytest.raises(error, match=message):
        Received(introspector, request_)


def test_a_forgotten_model_is_studied_anew(introspector: Introspector) -> None:
    """So nothing of an unloaded version stays in memory."""
    Received(introspector, ask("residual", "conv2"))
    introspector.forget(glass.subject("residual").source.digest)

    assert Received(introspector, ask("residual", "conv2")).end.build_s > 0


def test_only_some_graphs_are_kept() -> None:
    """The one studied first leaves; both still answer."""
    introspector = glass.introspector(Budget(max_graphs=1))

    for model in ("residual", "guide", "residual"):
        assert introspector.layers(model, 0, Selector()).key.name == model
    assert len(introspector._studied) == 1
