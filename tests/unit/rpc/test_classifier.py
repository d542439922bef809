"""Requests are checked as they come off the wire, answers lose nothing on it."""

from __future__ import annotations

import pytest

from service.core.errors import InvalidInput
from service.core.messages import Options
from service.rpc.classifier import from_answer, from_options, to_answer, to_options
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from tests.fakes import answer


def test_an_empty_request_means_the_defaults() -> None:
    """Only the model must be named; 0 asks for the five best."""
    assert to_options(pb.ClassifyRequest(model="digits")) == Options(top_k=5, min_score=0.0, logits=False)


def test_options_survive_the_wire() -> None:
    """What the SDK puts in is what the server reads."""
    options = Options(top_k=3, min_score=0.5, logits=True)
    request = from_options(options, id="a", model="digits", version=2, image=b"x")

    assert to_options(pb.ClassifyRequest.FromString(request.SerializeToString())) == options
    assert (request.id, request.model, request.version, request.image) == ("a", "digits", 2, b"x")


def test_an_answer_survives_the_wire() -> None:
    """Every field of an answer comes back equal."""
    sent = answer("a", Options(logits=True))

    assert to_answer(pb.ClassifyResponse.FromString(from_answer(sent).SerializeToString())) == sent


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (pb.ClassifyRequest(model="m", id="i" * 129), "id: at most 128 characters, got 129 characters"),
        (pb.ClassifyRequest(), "model: a name of 1 to 128 characters, got 0 characters"),
        (pb.ClassifyRequest(model="m" * 129), "model: a name of 1 to 128 characters, got 129 characters"),
        (pb.ClassifyRequest(model="m", top_k=1001), "top_k: 0 (the default, 5) to 1000, got 1001"),
        (pb.ClassifyRequest(model="m", min_score=-0.5), "min_score: 0 to 1, got -0.5"),
        (pb.ClassifyRequest(model="m", min_score=1.5), "min_score: 0 to 1, got 1.5"),
        (pb.ClassifyRequest(model="m", min_score=float("nan")), "min_score: 0 to 1, got nan"),
    ],
)
def test_a_mistake_is_named(request_: pb.ClassifyRequest, message: str) -> None:
    """Field, limit and value, so that the caller knows what to change."""
    with pytest.raises(InvalidInput) as raised:
        to_options(request_)

    assert str(raised.value) == message
