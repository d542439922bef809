"""Examining real networks through the SDK, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from service.client import AsyncClient, Client, CompareRequest, DiagnoseRequest
from service.core.diagnostics import DiagnosisEnd, DiagnosisEvent, DiagnosisHeader, ProfileRequest, Progress
from service.core.drift import QUANTILES, Profile
from service.core.errors import InvalidInput, NoSuchLayer, NoSuchModel, Refused
from service.core.health import LayerHealth
from service.core.layers import Selector
from tests import glass
from tests.fake_server import Running, running_server

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def profile() -> Profile:
    """That of a layer which gave something else at export: zeros."""
    return Profile(200, {"act": np.zeros((QUANTILES, 6), np.float32)})


@pytest.fixture(scope="module")
def server(profile: Profile) -> Iterator[Running]:
    with running_server(glass.introspector(), glass.diagnostics(profile=profile, images=64)) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def test_a_diagnosis_comes_over_the_wire_as_it_was_made(client: Client, profile: Profile) -> None:
    """Every number of every layer, drift and saturation included."""
    found = client.diagnose("residual")

    request = DiagnoseRequest("residual")
    header, *events, end = glass.diagnostics(profile=profile, images=64).diagnose(request)
    assert found.header == header
    assert list(found.layers.values()) == [event for event in events if isinstance(event, LayerHealth)]
    assert isinstance(end, DiagnosisEnd)
    assert (found.end.first_bad, found.end.bad_weights) == (end.first_bad, end.bad_weights)
    drift = found.layers["act"].drift
    assert drift is not None
    assert drift.channels == 6


def test_a_saturation_of_nothing_is_not_the_same_as_none(client: Client) -> None:
    """A clip that nothing reaches has a share of 0; a convolution has no limits to reach."""
    found = client.diagnose("mobile", ["relu6", "project"])

    assert found.layers["relu6"].saturation == 0.0
    assert found.layers["project"].saturation is None


def test_progress_comes_before_the_end(client: Client) -> None:
    """The header first, a step for each batch, the end last."""
    events = list(client.diagnosis(DiagnoseRequest("residual", layers=Selector(("act",)))))

    assert isinstance(events[0], DiagnosisHeader)
    assert [event for event in events if isinstance(event, Progress)] == [Progress(done, 4) for done in (1, 2, 3, 4)]
    assert isinstance(events[-1], DiagnosisEnd)


def test_who_leaves_stops_the_rest(profile: Profile) -> None:
    """The second of many steps is the last that is computed; the desk is free for the next question."""
    inside = glass.diagnostics(profile=profile, images=64)
    steps: list[object] = []

    class Watched:
        """Counts what is computed."""

        def __getattr__(self, name: str) -> object:
            return getattr(inside, name)

        def diagnose(self, request: DiagnoseRequest) -> Iterator[DiagnosisEvent]:
            for event in inside.diagnose(request):
                steps.append(event)
                yield event

    with running_server(glass.introspector(), Watched()) as running, Client(running.address) as client:  # type: ignore[arg-type]
        events = client.diagnosis(DiagnoseRequest("residual"))
        first = [next(events), next(events)]
        events.close()  # type: ignore[attr-defined]
        again = client.diagnose("residual", "act")

    assert isinstance(first[0], DiagnosisHeader)
    assert not any(isinstance(event, DiagnosisEnd) for event in steps[: steps.index(again.header, 1)])


async def test_versions_are_compared_on_pictures(server: Running) -> None:
    """With a threshold of the caller's; the pictures are those that were sent."""
    async with AsyncClient(server.address) as client:
        request = CompareRequest("residual", other="residual", other_version=1, threshold_db=99.0)
        found = await client.compare(request, [glass.picture(1), glass.picture(2), glass.picture(3)])

    assert (found.header.images, found.header.are_samples, found.header.threshold_db) == (3, False, 99.0)
    assert found.layers["act"].max_abs == 0
    assert found.layers["act"].cka == pytest.approx(1)
    assert (found.end.first_diverging, found.end.agreement) == ("", 1.0)


def test_times_come_with_the_layers_of_each_kernel(client: Client) -> None:
    """As the server groups them."""
    found = client.profile("residual", batch=2, runs=3)

    expected = glass.diagnostics().profile(ProfileRequest("residual", batch=2, runs=1))
    assert [group.layers for group in found.groups] == [group.layers for group in expected.groups]
    assert (found.batch, found.runs, found.setting, found.model.variant) == (2, 3, glass.TUNING.chosen, "fp32")
    assert found.run_us > 0


@pytest.mark.parametrize(
    ("error", "model", "layers"),
    [(NoSuchModel, "nobody", ()), (NoSuchLayer, "residual", "conv9"), (InvalidInput, "", ())],
)
def test_errors_keep_their_kind(client: Client, error: type[Exception], model: str, layers: str) -> None:
    """What the server raised is what the caller catches."""
    with pytest.raises(error):
        client.diagnose(model, layers)


def test_a_server_that_offers_no_diagnostics_says_so() -> None:
    """Not an unknown method, but a refusal with its reason."""
    with running_server(glass.introspector()) as running, Client(running.address) as client:  # noqa: SIM117
        with pytest.raises(Refused, match="diagnostics: not offered by this server"):
            client.profile("residual")
