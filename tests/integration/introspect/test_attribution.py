"""Evidence for a class, held against what is known about it: identities, PyTorch's weights, and planted truth."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from functools import cache
from itertools import count

import numpy as np
import pytest
from PIL import Image

from service.core.attribution import (
    AttributionEvent,
    AttributionHeader,
    AttributionProgress,
    AttributionRequest,
    AttributionResult,
    Method,
)
from service.core.errors import InvalidInput, NoSuchLayer, OverBudget, Refused, TooLate
from service.core.faithfulness import Check
from service.core.geometry import Box
from service.core.introspection import Picture
from service.core.overlay import Overlay
from service.core.perturbation import Occlusion, Rise
from service.core.saliency import enlarged
from service.introspect.introspector import Budget, Introspector
from service.introspect.tapping import Subject
from tests import glass, nets, planted

pytestmark = pytest.mark.train

MAP_METHODS = [Method.CAM, Method.HIRES_CAM, Method.GRAD_CAM, Method.LAYER_CAM, Method.RECIPRO_CAM]
ALL_METHODS = [*MAP_METHODS, Method.OCCLUSION, Method.RISE]


@cache
def planted_subject() -> Subject:
    return glass.serve(*planted.exported())


def find(name: str, version: int) -> Subject:
    return planted_subject() if name == "planted" else glass.served(name, version)


@pytest.fixture(scope="module")
def inside() -> Introspector:
    return glass.introspector(find=find)


def ask(model: str, method: Method = Method.AUTO, image: bytes | None = None, **wishes: object) -> AttributionRequest:
    return AttributionRequest(model, 0, Picture(image or glass.picture()), method, **wishes)  # type: ignore[arg-type]


def answered(
    inside: Introspector, request: AttributionRequest
) -> tuple[AttributionHeader, list[AttributionProgress], AttributionResult]:
    header, *progress, result = inside.attribution(request)
    assert isinstance(header, AttributionHeader)
    assert isinstance(result, AttributionResult)
    return header, [each for each in progress if isinstance(each, AttributionProgress)], result


def test_a_class_activation_map_is_the_logit_without_its_bias(inside: Introspector) -> None:
    """The bias is the dense layer's own, and nothing is left over."""
    net = nets.build("residual")
    assert isinstance(net, nets.Residual)

    header, _, result = answered(inside, ask("residual", target="c"))

    assert (header.method, header.layer and header.layer.id, header.labels) == (Method.CAM, "act#2", ("c",))
    assert result.bias == pytest.approx(net.fc.bias[2].item(), abs=1e-6)
    assert result.total + result.bias == pytest.approx(result.score, abs=1e-5)
    assert result.residual < 1e-5
    assert result.parity.max_logit_difference < 1e-5
    assert result.values.sum() == pytest.approx(result.total, abs=1e-5)


def test_behind_a_mean_and_a_dense_layer_all_methods_agree(inside: Introspector) -> None:
    """HiResCAM and Grad-CAM are CAM there, and so is each unit alone."""
    cam, hires, grad, recipro = (
        answered(inside, ask("residual", method, target=1, signed=True))[2]
        for method in (Method.CAM, Method.HIRES_CAM, Method.GRAD_CAM, Method.RECIPRO_CAM)
    )

    for other in (hires, grad, recipro):
        np.testing.assert_allclose(other.values, cam.values, atol=1e-6)
    assert hires.bias == recipro.bias == cam.bias
    assert math.isnan(grad.bias)


def test_a_linear_head_is_told_to_the_last_digit_too(inside: Introspector) -> None:
    """Flattened instead of pooled: then it is HiResCAM whose parts add up. The guide's logits are its units."""
    header, _, result = answered(inside, ask("guide", image=glass.guide_picture(), target="c"))

    assert (header.method, header.layer and header.layer.id) == (Method.HIRES_CAM, "conv")
    assert result.values.tolist() == [[0, 0], [37, 0]]
    assert (result.score, result.bias, result.residual) == (37, 0, 0)


def test_other_heads_get_gradients(inside: Introspector) -> None:
    """Between pools and a tanh nothing adds up, and nothing says that it does."""
    header, _, result = answered(inside, ask("sided"))

    assert (header.method, header.reason) == (Method.GRAD_CAM, "the head is not linear")
    assert header.layer is not None
    assert header.layer.id == "avgpool"
    assert result.values.min() >= 0
    assert math.isnan(result.residual)


@pytest.mark.parametrize("model", sorted(nets.NETS))
def test_one_rather_than_another_is_the_difference_of_two_maps(inside: Introspector, model: str) -> None:
    """Before anything is cut off, evidence is linear in what is asked."""
    one, other, rather = (
        answered(inside, ask(model, Method.HIRES_CAM, signed=True, target=target, versus=versus))[2].values
        for target, versus in (("a", None), ("b", None), ("a", "b"))
    )

    np.testing.assert_allclose(rather, one - other, atol=1e-5)


def test_any_layer_with_maps_can_be_asked(inside: Introspector) -> None:
    """Its map has its size; a dense layer has none, and an unknown one is told by its neighbours."""
    _, _, result = answered(inside, ask("mobile", Method.LAYER_CAM, layer="stem"))

    assert result.values.shape == (10, 9)
    with pytest.raises(InvalidInput, match=r"layer: one whose output is \[channels, height, width\].*got fc \[4\]"):
        answered(inside, ask("mobile", layer="fc"))
    with pytest.raises(NoSuchLayer, match="nearest are stem"):
        answered(inside, ask("mobile", layer="stm"))


def test_what_a_network_does_not_allow_is_refused(inside: Introspector) -> None:
    """CAM needs its head; a unit alone needs a layer that everything goes through."""
    with pytest.raises(Refused, match="method CAM: behind avgpool is other than global average pooling"):
        answered(inside, ask("sided", Method.CAM))
    with pytest.raises(Refused, match="not everything that the logits depend on goes through it"):
        answered(inside, ask("branches", Method.RECIPRO_CAM, layer="left"))


@pytest.mark.parametrize("method", ALL_METHODS)
def test_planted_evidence_is_found(inside: Introspector, method: Method) -> None:
    """The pointing game: in every scene, the strongest point for each class lies in its square."""
    hits = [hit for seed in range(8) for hit in pointed(inside, method, seed)]

    assert hits == [True] * 16


def pointed(inside: Introspector, method: Method, seed: int) -> Iterator[bool]:
    pixels, red, blue = planted.scene(seed)
    for label, box in (("red", red), ("blue", blue)):
        request = ask("planted", method, glass.png(pixels), target=label, rise=Rise(masks=300, seed=seed))
        result = answered(inside, request)[2]
        large = enlarged(result.values, result.placement, (planted.SIDE, planted.SIDE))
        yield is_inside(divmod(int(large.argmax()), planted.SIDE), box)


def is_inside(point: tuple[int, int], box: Box) -> bool:
    return box.y0 <= point[0] < box.y1 and box.x0 <= point[1] < box.x1


def test_true_evidence_is_far_from_random_maps(inside: Introspector) -> None:
    """Inserting its pixels first raises the score sooner than any control, deleting them lowers it sooner."""
    pixels, _, _ = planted.scene(3)
    request = ask("planted", image=glass.png(pixels), target="red", check=Check(steps=12, controls=2))

    header, progress, result = answered(inside, request)

    found = result.faithfulness
    assert found is not None
    assert all(found.map.insertion_area > each.insertion_area + 0.05 for each in found.controls)
    assert all(found.map.deletion_area < each.deletion_area - 0.05 for each in found.controls)
    assert (len(found.controls), len(found.map.insertion), len(found.map.deletion)) == (2, 13, 13)
    assert header.runs == progress[-1].done == 1 + 2 * 13 * 3


def test_occlusion_says_what_is_lost(inside: Introspector) -> None:
    """Where a patch that covers all of a picture stands, everything is."""
    whole = Occlusion(patch=nets.WIDTH, stride=1)

    header, progress, result = answered(inside, ask("residual", Method.OCCLUSION, occlusion=whole, snapshots=1))

    assert header.layer is None
    assert (header.runs, [each.done for each in progress]) == (4, [4])
    assert progress[0].values is not None
    np.testing.assert_allclose(progress[0].values, result.values)
    # Rows in the middle are hidden in all three places, the first row only in the first.
    assert result.values[8, 0] == pytest.approx(result.values[8].mean(), abs=1e-6)
    assert result.placement.step == (1, 1)


def test_rise_is_progressive_and_repeatable(inside: Introspector) -> None:
    """Maps on the way, the same for the same seed; more masks would change them less and less."""
    request = ask("residual", Method.RISE, rise=Rise(masks=100, seed=9), snapshots=3)

    _, progress, result = answered(inside, request)
    _, again, same = answered(inside, request)

    assert [each.done for each in progress] == [17, 33, 49, 65, 81, 97, 101]
    assert [each.done for each in progress if each.values is not None] == [49, 81, 101]
    np.testing.assert_array_equal(result.values, same.values)
    np.testing.assert_array_equal(progress[2].values, again[2].values)
    other = answered(inside, ask("residual", Method.RISE, rise=Rise(masks=100, seed=10)))[2]
    assert np.abs(other.values - result.values).max() > 1e-3


def test_a_unit_alone_is_progressive_too(inside: Introspector) -> None:
    """Snapshots fill up row by row."""
    _, progress, result = answered(inside, ask("sided", Method.RECIPRO_CAM, layer="leaky", snapshots=1))

    assert [each.done for each in progress] == [64, 100]
    assert progress[-1].values is not None
    np.testing.assert_allclose(progress[-1].values, result.values)


def test_a_picture_is_painted_when_it_is_wanted(inside: Introspector) -> None:
    """With the network's own pixels below, and the numbers of its colours."""
    painted = answered(inside, ask("residual", Method.HIRES_CAM, signed=True, overlay=Overlay()))[2].painted

    assert painted is not None
    assert painted.colormap == "puor"
    assert painted.low == -painted.high < 0
    assert Image.open(io.BytesIO(painted.png)).size == (15 * nets.WIDTH + 92, 15 * nets.HEIGHT + 30)


def test_evidence_against_is_cut_unless_wanted(inside: Introspector) -> None:
    """As the methods' authors do."""
    kept, cut = (
        answered(inside, ask("residual", Method.GRAD_CAM, target="a", versus="b", signed=signed))[2].values
        for signed in (True, False)
    )

    assert kept.min() < 0
    np.testing.assert_array_equal(np.maximum(kept, 0), cut)


def test_a_question_that_takes_too_long_is_refused() -> None:
    """Before the first run, with the numbers."""
    small = glass.introspector(Budget(max_runs=99))

    with pytest.raises(OverBudget, match="runs: the answer takes 101 runs of the network, allowed are 99"):
        next(small.attribution(ask("residual", Method.RISE, rise=Rise(masks=100))))


def test_the_deadline_is_looked_at_before_each_run() -> None:
    """The clock ticks with every look at it; the masks do not all get their turn."""
    ticks = count()
    late = glass.introspector(now=lambda: float(next(ticks)))
    events: list[AttributionEvent] = []

    with pytest.raises(TooLate):
        events.extend(late.attribution(ask("residual", Method.RISE, rise=Rise(masks=500), deadline=30.0)))

    done = max(event.done for event in events if isinstance(event, AttributionProgress))
    assert 17 <= done < 501
