"""Looking into real networks through the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.client import (
    AsyncClient,
    Client,
    ClientError,
    Encoding,
    Kind,
    MapsRequest,
    Picture,
    Selector,
    TopK,
    Wanted,
)
from service.client.feature_maps import LayerMaps, assembled
from service.core.attribution import (
    AttributionHeader,
    AttributionProgress,
    AttributionRequest,
    AttributionResult,
    Method,
)
from service.core.errors import NoSuchLayer, OverBudget
from service.core.introspection import Chunk, LayerEnd, MapsEvent, RunEnd, RunHeader
from service.core.perturbation import Rise
from service.core.units import ConvUnit
from tests import glass
from tests.fake_server import Running, running_server

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server(glass.introspector()) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def test_maps_are_arrays_by_layer(client: Client) -> None:
    """The guide's, with what the serving session says about the picture."""
    maps = client.features("conv", glass.guide_picture(), model="guide")

    assert list(maps) == ["conv"]
    assert maps["conv"].tolist() == [[[19, 25], [37, 43]]]
    assert maps.header.pictures[0].predictions[0].label == "d"
    assert maps.end.parity is not None
    assert maps.end.parity.max_logit_difference <= 1e-4
    assert maps.layers["conv"].header.layer.class_name == "Conv2d"


async def test_the_async_client_gives_the_same(server: Running, tmp_path: Path) -> None:
    """From a file; afterwards by the id of the picture."""
    (tmp_path / "nine.png").write_bytes(glass.guide_picture())
    async with AsyncClient(server.address) as client:
        maps = await client.features((), tmp_path / "nine.png", model="guide")
        again = await client.features(
            ["conv", "flatten"], Picture(id=maps.header.pictures[0].picture_id), model="guide"
        )

    assert {name: values.ravel().tolist() for name, values in maps.items()} == {
        "conv": [19, 25, 37, 43],
        "flatten": [19, 25, 37, 43],
    }
    assert all((again[name] == values).all() for name, values in maps.items())


@pytest.mark.parametrize("kind", [Kind.FLOAT16, Kind.UINT8, Kind.NPY])
def test_encodings_are_read_for_the_caller(client: Client, kind: Kind) -> None:
    """Whatever travels, numbers come out, as near as the encoding allows."""
    exact = client.features((), glass.picture(), model="residual")
    near = client.features((), glass.picture(), model="residual", encoding=Encoding(kind))

    assert list(near) == list(exact)
    for name, values in exact.items():
        assert near[name] == pytest.approx(values, rel=1e-3, abs=float(np.ptp(values)) / 255 + 1e-6)


def test_many_chunks_make_one_layer(client: Client) -> None:
    """3 MB of one channel, asked for many times."""
    many = Wanted(channels=(0,) * 2400)
    maps = client.features("stem.0", glass.picture(), model="residual", wanted=many)

    assert maps["stem.0"].shape == (2400, 19, 17)
    assert (maps["stem.0"] == maps["stem.0"][0]).all()


def test_layers_are_as_the_server_knows_them(client: Client) -> None:
    """Nothing is lost on the way: window, receptive field, formulas, roles."""
    inside = glass.introspector()
    for model in ("residual", "sided", "guide"):
        assert client.layers(model, "**") == inside.layers(model, 0, Selector(("**",)))


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("sided", "sided"), ("sided", "maxpool"), ("sided", "avgpool"), ("sided", "leaky"), ("residual", "bn1"),
        ("sided", "hidden"), ("branches", "share"), ("sided", "flatten"), ("residual", "act#2"),
    ],
)  # fmt: skip
def test_units_are_explained(client: Client, model: str, layer: str) -> None:
    """Every kind comes with the value that the maps hold at that place."""
    answer = client.explain(layer, (1, 0, 0), glass.picture(), model=model)
    maps = client.features(layer, glass.picture(), model=model)

    assert answer.explained.value == pytest.approx(float(maps[layer][1, 0, 0]))
    assert answer.explained.residual <= 1e-4 * max(1.0, abs(answer.explained.value))
    assert answer.place == (1, 0, 0)


def test_the_four_products_of_the_guide(client: Client) -> None:
    """In their places in the kernel."""
    answer = client.explain("conv", (0, 1, 1), glass.guide_picture(), model="guide")

    assert isinstance(answer.explained.unit, ConvUnit)
    assert answer.explained.unit.patches[0].products.tolist() == [[0, 5], [14, 24]]
    assert answer.explained.value == 43


def test_what_is_too_much_names_what_would_fit(client: Client) -> None:
    """The same in bytes."""
    with pytest.raises(OverBudget, match=r"answer takes 48336 bytes, allowed are 13000; encoding UINT8 takes 12084"):
        client.features((), glass.picture(), model="residual", max_bytes=13_000)


async def test_errors_of_a_stream_are_the_servers(server: Running) -> None:
    """With the nearest names."""
    async with AsyncClient(server.address) as client:
        with pytest.raises(NoSuchLayer, match="nearest are conv1, conv2"):
            await client.features("cnv1", glass.picture(), model="residual")


async def test_sizes_are_told_without_a_picture(server: Running) -> None:
    """A dry run has headers and no values."""
    wanted = Wanted(channels=TopK(2))
    request = MapsRequest("residual", 0, (), Selector(("conv*",)), wanted, Encoding(Kind.UINT8), dry_run=True)
    async with AsyncClient(server.address) as client:
        parts = [part async for part in client.maps(request)]

    assert [part.header.size_bytes for part in parts if isinstance(part, LayerMaps)] == [180, 180]
    assert parts[0].total_bytes == 360  # type: ignore[union-attr]  # the header


async def _received(*changed: MapsEvent) -> list[object]:
    request = MapsRequest("guide", 0, (Picture(glass.guide_picture()),), encoding=Encoding(Kind.FLOAT32))
    by_type = {type(event): event for event in changed}

    async def events() -> object:
        for event in glass.introspector().maps(request):
            yield by_type.get(type(event), event)

    return [part async for part in assembled(events(), request)]  # type: ignore[arg-type]  # an async generator


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (Chunk(0, 0, bytes(16)), "layer 0 of the answer: its checksum does not fit its bytes"),
        (Chunk(0, 8, bytes(8)), "layer 0 of the answer: bytes 0 to 8 are missing"),
        (LayerEnd(0, 12), "layer 0 of the answer: its checksum does not fit its bytes"),
    ],
)
async def test_what_was_damaged_on_the_way_is_not_handed_out(changed: MapsEvent, problem: str) -> None:
    """Bytes that are wrong, that are missing, and a wrong sum."""
    with pytest.raises(ClientError, match=problem):
        await _received(changed)


async def test_what_was_not_damaged_is_complete() -> None:
    """The same stream as it was."""
    first, *layers, last = await _received()

    assert isinstance(first, RunHeader)
    assert [layer.id for layer in layers if isinstance(layer, LayerMaps)] == ["conv", "flatten"]
    assert isinstance(last, RunEnd)


def test_evidence_adds_up_through_the_sdk(client: Client) -> None:
    """By label or index, with a method by its name; the map is an array."""
    picture = glass.picture()

    found = client.attribute(picture, model="residual", target="b", versus=0)
    by_gradient = client.attribute(picture, model="residual", target=1, versus="a", method="hirescam", signed=True)

    assert (found.header.method, found.header.labels) == (Method.CAM, ("b", "a"))
    assert found.values.sum() + found.result.bias == pytest.approx(found.result.score, abs=1e-4)
    np.testing.assert_allclose(by_gradient.values, found.values, atol=1e-6)


def test_evidence_is_progressive_through_the_sdk(client: Client) -> None:
    """Header, masks as they are done, result."""
    request = AttributionRequest("residual", 0, Picture(glass.picture()), Method.RISE, rise=Rise(masks=40), snapshots=1)

    header, *progress, result = client.attribution(request)

    assert isinstance(header, AttributionHeader)
    assert isinstance(result, AttributionResult)
    done = [event.done for event in progress if isinstance(event, AttributionProgress)]
    assert (header.runs, done) == (41, [17, 33, 41])
    assert result.values.shape == (19, 17)
