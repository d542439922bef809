"""Classification on the wire <-> in the core. On the path of every request: one constructor call each way."""

from __future__ import annotations

from typing import Any

from service.core.errors import InvalidInput
from service.core.messages import Answer, ModelKey, Options, Prediction, Timing
from service.rpc.models import check_name
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb

MAX_ID_CHARS = 128
MAX_TOP_K = 1000

_DEFAULT = Options()


def check_id(field: str, text: str) -> None:
    """Raise `InvalidInput` when what a caller names a request by is too long."""
    if len(text) > MAX_ID_CHARS:
        raise InvalidInput(field, f"at most {MAX_ID_CHARS} characters", f"{len(text)} characters")


def to_options(request: pb.ClassifyRequest) -> Options:
    """Check everything of a request but its picture, and return its options; raises `InvalidInput`."""
    check_id("id", request.id)
    check_name(request.model)
    check_id("route_key", request.route_key)
    top_k, min_score = request.top_k, request.min_score
    if top_k > MAX_TOP_K:
        raise InvalidInput("top_k", f"0 (the default, {_DEFAULT.top_k}) to {MAX_TOP_K}", top_k)
    if not 0.0 <= min_score <= 1.0:
        raise InvalidInput("min_score", "0 to 1", min_score)
    return Options(top_k or _DEFAULT.top_k, min_score, request.logits)


def from_options(
    options: Options,
    *,
    id: str,
    model: str,
    version: int,
    image: bytes,
    label: str = "",
    route_key: str = "",
) -> pb.ClassifyRequest:
    """The request that asks for `options`."""
    return pb.ClassifyRequest(
        id=id,
        model=model,
        version=version,
        image=image,
        top_k=options.top_k,
        min_score=options.min_score,
        logits=options.logits,
        label=label,
        route_key=route_key,
    )


def from_answer(answer: Answer) -> pb.ClassifyResponse:
    """What the caller of `Classify` reads."""
    return pb.ClassifyResponse(**response_fields(answer))


def response_fields(answer: Answer) -> dict[str, Any]:
    """The fields of a `ClassifyResponse`, to be put into whatever message holds it.

    Protobuf builds nested messages from dicts in half the time of separate constructors, and does not copy them.
    """
    model, timing = answer.model, answer.timing
    return {
        "id": answer.id,
        "model": model.name,
        "version": model.version,
        "digest": answer.digest,
        "predictions": [{"label": p.label, "index": p.index, "score": p.score} for p in answer.predictions],
        "logits": answer.logits,
        "timing": {
            "queue_us": timing.queue_us,
            "decode_us": timing.decode_us,
            "compute_us": timing.compute_us,
            "batch_size": timing.batch_size,
            "provider": timing.provider,
        },
    }


def to_answer(response: pb.ClassifyResponse) -> Answer:
    """What the caller of the SDK reads."""
    timing = response.timing
    return Answer(
        id=response.id,
        model=ModelKey(response.model, response.version),
        digest=response.digest,
        predictions=tuple(Prediction(p.label, p.index, p.score) for p in response.predictions),
        logits=tuple(response.logits),
        timing=Timing(timing.queue_us, timing.decode_us, timing.compute_us, timing.batch_size, timing.provider),
    )
