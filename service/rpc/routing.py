"""Routings on the wire <-> in the core."""

from __future__ import annotations

from service.core.routing import Record, Routing, Shadow
from service.rpc.pb.vitrine.v1 import models_pb2 as pb


def to_routing(message: pb.Routing) -> Routing:
    """What `Models.SetRouting` puts in force; raises `InvalidInput`."""
    shadow = Shadow(message.shadow.label, message.shadow.share) if message.HasField("shadow") else None
    return Routing(dict(message.labels), dict(message.split), shadow)


def from_routing(model: str, routing: Routing, revision: int = 0, former: int = 0) -> pb.Routing:
    """A routing of a model, as asked for or as in force."""
    shadow = routing.shadow
    return pb.Routing(
        model=model,
        labels=routing.labels,
        split=routing.split,
        shadow=pb.Shadow(label=shadow.label, share=shadow.share) if shadow else None,
        revision=revision,
        former=former,
    )


def from_record(model: str, record: Record) -> pb.Routing:
    """What is in force."""
    return from_routing(model, record.routing, record.revision, len(record.former))
