from __future__ import annotations

import pytest

from service.core.errors import InvalidInput, NoSuchLayer
from service.core.graph import TensorType
from service.core.layers import LayerInfo, Role, Selector, find, select


def layer(path: str, call: int = 0, class_name: str = "Conv2d", op: str = "Conv", *roles: Role) -> LayerInfo:
    name = path if call == 0 else f"{path}#{call}"
    return LayerInfo(
        id=name,
        path=path,
        call=call,
        class_name=class_name,
        named_by="module" if class_name else "node",
        roles=frozenset(roles or {Role.CONVOLUTION}),
        ops=(op,),
        tensor=name,
        type=TensorType("float32", (1, 2, 2)),
        inputs=("x",),
    )


LAYERS = (
    layer("conv2"),
    layer("features", 0, "Sequential", "Conv", Role.BLOCK),
    layer("features.0", 0, "Block", "Conv", Role.BLOCK),
    layer("features.0.conv1"),
    layer("features.0.conv2"),
    layer("act", 0, "ReLU", "Relu", Role.ACTIVATION),
    layer("act", 1, "ReLU", "Relu", Role.ACTIVATION),
    layer("tensor:add", 0, "", "Add", Role.MERGE, Role.PRE_ACTIVATION),
    layer("fc", 0, "Linear", "Gemm", Role.DENSE, Role.LOGITS),
)


def ids(selector: Selector) -> list[str]:
    return [each.id for each in select(LAYERS, selector)]


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("features.0", ["features.0"]),
        ("features.*", ["features.0"]),
        ("features.**", ["features.0", "features.0.conv1", "features.0.conv2"]),
        ("**.conv2", ["conv2", "features.0.conv2"]),
        ("features.?.conv?", ["features.0.conv1", "features.0.conv2"]),
        ("act", ["act"]),
        ("act#1", ["act#1"]),
        ("ac*", ["act", "act#1"]),
        ("tensor:*", ["tensor:add"]),
        ("*", ["conv2", "features", "act", "act#1", "fc"]),
        ("*a*", ["features", "act", "act#1"]),
    ],
)
def test_patterns(pattern: str, chosen: list[str]) -> None:
    """Stars stay within a name, two stars cross dots, a wildcard means every call of a module."""
    assert ids(Selector(include=(pattern,))) == chosen


def test_stars_match_operations_where_no_module_is_named() -> None:
    """They hide only beside modules."""
    assert [each.id for each in select([LAYERS[7]], Selector(("**",)))] == ["tensor:add"]


def test_everything_means_every_module_call() -> None:
    """Sums and the like are left out until asked for."""
    assert ids(Selector()) == [each.id for each in LAYERS if each.id != "tensor:add"]


def test_a_file_without_modules_offers_its_nodes() -> None:
    """Otherwise there would be nothing to see."""
    assert [each.id for each in select([LAYERS[7]], Selector())] == ["tensor:add"]


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (Selector(roles=frozenset({Role.MERGE, Role.LOGITS})), ["tensor:add", "fc"]),
        (Selector(roles=frozenset({Role.PRE_ACTIVATION})), ["tensor:add"]),
        (Selector(ops=frozenset({"Gemm"})), ["fc"]),
        (Selector(class_names=frozenset({"torch.nn.modules.linear.Linear"})), ["fc"]),
        (Selector(max_depth=1), ["conv2", "features", "act", "act#1", "fc"]),
        (Selector(limit=2), ["conv2", "features"]),
        (Selector(include=("**",), exclude=("features.**", "act*", "tensor:*")), ["conv2", "features", "fc"]),
        (Selector(include=("**",), ops=frozenset({"Conv"}), max_depth=1), ["conv2", "features"]),
    ],
)
def test_wishes(selector: Selector, chosen: list[str]) -> None:
    """By role, operation, class (by its last part), depth; less what is excluded; cut to the limit."""
    assert ids(selector) == chosen


@pytest.mark.parametrize("pattern", ["features.0.conv3", "features.0.conv?x"])
def test_a_name_that_matches_nothing_is_answered_with_the_nearest(pattern: str) -> None:
    """A typing error costs one look."""
    with pytest.raises(NoSuchLayer) as caught:
        select(LAYERS, Selector(include=(pattern,)))

    assert str(caught.value).startswith(f"layer: none is called '{pattern}'; nearest are features.0.conv")
    assert str(caught.value).count(",") == 2


def test_one_layer_is_found_by_its_id() -> None:
    """Which counts the calls."""
    assert find(LAYERS, "act#1").call == 1
    with pytest.raises(NoSuchLayer, match="none is called 'act#2'; nearest are act#1, act"):
        find(LAYERS, "act#2")


def test_an_empty_pattern_names_its_place() -> None:
    """It is the caller's mistake."""
    with pytest.raises(InvalidInput, match=r"layers\.exclude\[0\]: a layer's name"):
        select(LAYERS, Selector(exclude=("",)))
