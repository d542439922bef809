"""`vitrine route`: which version callers of a model get."""

from __future__ import annotations

from collections.abc import Sequence

from service.client import RoutingInfo
from service.commands import asking, terminal
from service.core.errors import InvalidInput
from service.core.routing import Routing, Shadow


def show(server: str, model: str) -> None:
    """Print the routing in force."""
    with asking.client(server) as client:
        _print(client.routing(model))


def change(
    server: str,
    model: str,
    labels: Sequence[str],
    split: Sequence[str],
    shadow: str | None,
    *,
    removed: Sequence[str] = (),
) -> None:
    """Set the given labels beside those there are; a split or a shadow that is given replaces the one before.

    Raises `NoSuchModel` for a label to be `removed` that is not there.
    """
    with asking.client(server) as client:
        current = client.routing(model)
        before = current.routing
        for label in removed:
            before.version(model, label)
        kept = {name: version for name, version in before.labels.items() if name not in removed}
        wanted = Routing(
            {**kept, **{name: int(_number("label", value)) for name, value in map(_pair, labels)}},
            {name: _number("split", value) for name, value in map(_pair, split)} or before.split,
            before.shadow if shadow is None else _shadow(shadow),
        )
        _print(client.set_routing(model, wanted, current.revision))


def clear(server: str, model: str) -> None:
    """Let callers get the latest version again."""
    with asking.client(server) as client:
        _print(client.set_routing(model, Routing()))


def roll_back(server: str, model: str) -> None:
    """Put the routing before in force again."""
    with asking.client(server) as client:
        _print(client.roll_back_routing(model))


def _shadow(text: str) -> Shadow | None:
    label, _, share = text.partition("=")
    return Shadow(label, _number("shadow", share or "1")) if label else None


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _number(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(field, "LABEL=NUMBER", repr(text)) from None


def _print(info: RoutingInfo) -> None:
    console, routing = terminal.page(), info.routing
    total = sum(routing.split.values())
    table = terminal.table("label", "version", "share", "shadow")
    for label, version in sorted(routing.labels.items()):
        share = f"{routing.split.get(label, 0) / total:.1%}" if total else ""
        copies = f"{routing.shadow.share:.1%}" if routing.shadow and routing.shadow.label == label else ""
        table.add_row(label, str(version), share, copies)
    console.print(f"{info.model}, revision {info.revision}; {info.former} before it to roll back to")
    console.print(table if routing.labels else "no routing: callers get the latest version")
