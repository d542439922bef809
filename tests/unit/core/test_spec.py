from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.core.errors import InvalidInput
from service.core.spec import Layer, Preprocess, Spec, from_json, to_json

SPEC = Spec(
    name="digits",
    channels=1,
    height=28,
    width=20,
    labels=("zero", "one"),
    preprocess=Preprocess("pad", background=0, mean=(0.1307,), std=(0.3081,)),
    temperature=1.25,
    layers=(Layer("features.0.conv", 0, "Conv2d", ("Conv",), "conv_out", (8, 28, 20), ("image",)),),
    facts={"dataset": "MNIST"},
)


def test_a_spec_survives_the_onnx_file() -> None:
    """What is written at export is what is read at load, tuples included."""
    assert from_json(to_json(SPEC)) == SPEC


def test_the_input_shape_is_height_width_channels() -> None:
    """Pixels are stored with the channels last."""
    assert SPEC.shape == (28, 20, 1)


def test_a_repeated_layer_is_told_apart_by_its_call() -> None:
    """The first call goes by the module's path alone."""
    layer = SPEC.layers[0]

    assert layer.id == "features.0.conv"
    assert replace(layer, call=1).id == "features.0.conv#1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ()}, "labels: at least one label is needed, got 0"),
        ({"labels": ("one",)}, "labels: a multi-class model needs at least 2, got 1"),
        ({"task": "binary"}, "labels: a binary model has one label, that of the positive class, got 2"),
        ({"preprocess": Preprocess(mean=(0.5, 0.5))}, "mean: 1 or 1 values, one per channel, got 2"),
        ({"channels": 3, "preprocess": Preprocess(std=(1.0, 1.0))}, "std: 1 or 3 values, one per channel, got 2"),
        ({"temperature": float("inf")}, "temperature: must be finite, got inf"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(change: dict[str, Any], message: str) -> None:
    """A spec that could not be served cannot be made."""
    with pytest.raises(InvalidInput) as caught:
        replace(SPEC, **change)

    assert str(caught.value) == message


def test_one_label_is_enough_for_yes_or_no_and_for_tags() -> None:
    """Binary models score their positive class, multi-label ones each label by itself."""
    assert replace(SPEC, task="binary", labels=("defect",)).labels == ("defect",)
    assert replace(SPEC, task="multilabel", labels=("cat",)).labels == ("cat",)


def test_fields_of_a_newer_writer_are_ignored() -> None:
    """An older server reads a newer file."""
    text = to_json(SPEC).replace('"name":"digits"', '"name":"digits","invented_later":1')

    assert from_json(text) == SPEC


def test_a_broken_field_is_named() -> None:
    """The message leads to the place in the JSON."""
    text = to_json(SPEC).replace('"std":[0.3081]', '"std":[-1.0]')

    with pytest.raises(InvalidInput, match=r"spec\.preprocess\.std\.0: Input should be greater than 0, got -1\.0"):
        from_json(text)


def test_something_else_than_json_is_refused() -> None:
    """A file without a usable spec has one clear error."""
    with pytest.raises(InvalidInput, match="Invalid JSON"):
        from_json(b"\x00")
