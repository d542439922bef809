"""How layers and numbers are put into words, wherever people read them."""

from __future__ import annotations

from service.core.introspection import Parity, RunHeader
from service.core.layers import LayerInfo
from service.core.statistics import Statistics


def shape(layer: LayerInfo) -> str:
    """Channels, height, width of one picture's output."""
    return " x ".join(str(size) for size in layer.type.shape)


def window(layer: LayerInfo) -> str:
    """The window it slides: kernel, then what is not the default."""
    if layer.window is None:
        return ""
    seen = layer.window
    parts = [_pair(seen.kernel)]
    if seen.stride != (1, 1):
        parts.append(f"stride {_pair(seen.stride)}")
    if any(seen.padding):
        even = len(set(seen.padding)) == 1
        parts.append(f"pad {seen.padding[0] if even else ','.join(str(side) for side in seen.padding)}")
    if seen.dilation != (1, 1):
        parts.append(f"dilation {_pair(seen.dilation)}")
    if layer.groups > 1:
        parts.append(f"groups {layer.groups}")
    return " ".join(parts)


def field(layer: LayerInfo) -> str:
    """Its receptive field, in pixels of the input."""
    return _pair(layer.field.size) if layer.field else "?"


def count(number: int) -> str:
    """A large number as people say it; nothing for nothing."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return str(number or "")


def about(layer: LayerInfo) -> list[tuple[str, str]]:
    """What there is to know about a layer, by name."""
    known = [
        ("class", layer.class_name),
        ("output", shape(layer)),
        ("window", window(layer)),
        ("field", field(layer)),
        ("parameters", count(layer.parameters)),
        ("MACs", count(layer.macs)),
    ]
    return [(name, value) for name, value in known if value]


def seen(statistics: Statistics) -> list[tuple[str, str]]:
    """What its values look like, by name."""
    bad = statistics.nans + statistics.positive_infinities + statistics.negative_infinities
    facts = [
        ("min", f"{statistics.min:.4g}"),
        ("mean", f"{statistics.mean:.4g}"),
        ("max", f"{statistics.max:.4g}"),
        ("zeros", f"{statistics.zeros / max(statistics.count, 1):.1%}"),
    ]
    return [*facts, ("not finite", str(bad))] if bad else facts


def sentence(facts: list[tuple[str, str]]) -> str:
    """Facts in one line."""
    return " · ".join(f"{name} {value}" for name, value in facts)


def model(header: RunHeader) -> str:
    """What answered."""
    return f"{header.key.name}:{header.key.version}"


def parity(found: Parity | None) -> str:
    """How far the logits of the network that was looked into are from those served."""
    if found is None:
        return "not measured"
    where = "" if found.here else ", measured on an earlier picture"
    return f"logits within {found.max_logit_difference:.2g} of those served{where}"


def _pair(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
