from __future__ import annotations

import numpy as np
import pytest

from service.core.attribution import (
    AttributionEvent,
    AttributionHeader,
    AttributionProgress,
    AttributionRequest,
    AttributionResult,
    Method,
)
from service.core.errors import InvalidInput
from service.core.faithfulness import Check, Curves, Faithfulness
from service.core.introspection import Classified, Parity, Picture
from service.core.messages import NEVER, ModelKey, Prediction
from service.core.overlay import Overlay, Painted
from service.core.perturbation import Fill, Occlusion, Rise
from service.core.saliency import Placement
from service.rpc.attribution import from_request, to_request
from service.rpc.attribution_events import from_event, to_event
from service.rpc.pb.vitrine.v1 import attribution_pb2 as pb
from service.rpc.pb.vitrine.v1 import layers_pb2

MAP = np.array([[0.25, -1.5, 3.0]], np.float32)


@pytest.mark.parametrize(
    "request_",
    [
        AttributionRequest(
            "pets", 3, Picture(id="f" * 64), Method.RISE, "features.3", target="cat", versus=0, signed=True,
            fill=Fill.WHITE, occlusion=Occlusion(5, 2), rise=Rise(50, 9, 0.25, 7), overlay=Overlay("rdbu", 100, False),  # noqa: FBT003
            check=Check(10, 2, 5), snapshots=4,
        ),
        AttributionRequest("pets", 0, Picture(b"jpeg", keep=False), class_weights=(0.5, -1.0)),
    ],
)  # fmt: skip
def test_a_question_survives_the_wire(request_: AttributionRequest) -> None:
    """Every wish, and the absence of wishes."""
    assert to_request(from_request(request_), NEVER) == request_


def test_zeros_stand_for_the_servers_own_numbers() -> None:
    """As a caller writes it who knows of none of them."""
    asked = pb.AttributeRequest(
        model="pets",
        picture=layers_pb2.Picture(image=b"jpeg"),
        overlay=pb.OverlayOptions(),
        check=pb.CheckOptions(),
        rise=pb.Rise(seed=3),
    )

    assert to_request(asked, NEVER) == AttributionRequest(
        "pets", 0, Picture(b"jpeg"), overlay=Overlay(), check=Check(), rise=Rise(seed=3)
    )


def test_words_of_a_newer_client_are_refused() -> None:
    """By the field's name."""
    asked = pb.AttributeRequest(model="pets", picture=layers_pb2.Picture(image=b"jpeg"))
    asked.method = 99  # type: ignore[assignment]

    with pytest.raises(InvalidInput, match="method: a value that this server knows, got 99"):
        to_request(asked, NEVER)


RESULT = AttributionResult(
    values=MAP,
    placement=Placement((0.5, 1.5), (2.0, 4.0)),
    score=4.5,
    total=4.25,
    parity=Parity(0.125, here=True),
    bias=0.25,
    residual=0.0,
    painted=Painted(b"png", "puor", -3.0, 3.0),
    faithfulness=Faithfulness(Curves((0.0, 1.0), (1.0, 0.0)), (Curves((0.5, 0.75), (0.75, 0.5)),)),
    build_s=0.5,
    compute_s=0.25,
)


@pytest.mark.parametrize(
    "event",
    [
        AttributionHeader(
            ModelKey("pets", 3), "d" * 64, Classified("f" * 64, (Prediction("cat", 1, 0.5),)), Method.RISE, "why",
            None, 1, 0, ("cat", "dog"), 101,
        ),
        AttributionHeader(ModelKey("pets", 3), "", Classified("", ()), Method.CAM, "", None, 0, None, ("dog",), 1),
        AttributionProgress(17),
    ],
)  # fmt: skip
def test_events_survive_the_wire(event: AttributionEvent) -> None:
    """With what is missing still missing."""
    assert to_event(pb.AttributeEvent.FromString(from_event(event).SerializeToString())) == event


def test_maps_survive_the_wire() -> None:
    """To the last bit."""
    progress, result = (to_event(from_event(event)) for event in (AttributionProgress(4, MAP), RESULT))

    assert isinstance(progress, AttributionProgress)
    assert isinstance(result, AttributionResult)
    np.testing.assert_array_equal(progress.values, MAP)
    np.testing.assert_array_equal(result.values, MAP)
    for name in ("placement", "score", "bias", "residual", "parity", "painted", "faithfulness", "build_s"):
        assert getattr(result, name) == getattr(RESULT, name)
