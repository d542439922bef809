from __future__ import annotations

from pathlib import Path

import pytest

from model import recipe
from model.architecture import Conv, Residual
from service.core.errors import InvalidInput

RECIPES = Path(recipe.__file__).with_name("recipes")
SMALL = """
name = "small"
input = { channels = 1, height = 6, width = 6 }
head = { type = "softmax", labels = ["a", "b"] }
layers = [
    { type = "conv", filters = 2, kernel = [3, 2], padding = [0, 1, 2, 3] },
    { type = "relu" },
    { type = "residual", layers = [{ type = "conv", filters = 2, kernel = 1 }, { type = "relu" }] },
    { type = "flatten" },
    { type = "dense", units = 2 },
]
"""


def test_layers_without_a_name_are_numbered_by_type() -> None:
    """A nameless layer is called by its type and a running number, at every level."""
    made = recipe.parse(SMALL)

    assert [layer.name for layer in made.layers] == ["conv1", "relu1", "residual1", "flatten1", "dense1"]
    block = made.layers[2]
    assert isinstance(block, Residual)
    assert [layer.name for layer in block.layers] == ["conv1", "relu1"]


def test_a_single_number_stands_for_both_axes() -> None:
    """`stride = 1` and `[1, 1]` mean the same; height comes first."""
    conv = recipe.parse(SMALL).layers[0]

    assert isinstance(conv, Conv)
    assert conv.kernel == (3, 2)
    assert conv.stride == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("filters = 2, kernel = [3, 2]", "filters = 0, kernel = 1", "recipe.layers.0.conv.filters: "),
        ("padding = [0, 1, 2, 3]", "pading = 1", "recipe.layers.0.conv.pading: Unexpected keyword argument, got 1"),
        ('"conv", filters = 2, kernel = 1', '"kernel"', "recipe.layers.2.residual.layers.0: "),
        ("units = 2", "units = 3", "layers: must end in one logit per label, [2], got [3]"),
        ("height = 6", "height = 0", "recipe.input.height: "),
        ("padding = [0, 1, 2, 3]", "groups = 2", "conv1.groups: must divide 1 input channels and 2 filters, got 2"),
        ("kernel = [3, 2]", "kernel = 10", "conv1.kernel: must fit into the padded height of 8, got 10"),
        ('{ type = "flatten" },', "", "dense1: dense needs a flattened input, got [2, 6, 9]"),
        (
            "filters = 2, kernel = 1 }",
            "filters = 3, kernel = 1 }",
            "residual1: both branches must agree, one gives [3, 6, 9], got [2, 6, 9]",
        ),
        (
            '{ type = "relu" },\n    { type = "r',
            '{ type = "relu", name = "conv1" },\n    { type = "r',
            "'conv1' is taken",
        ),
        ('name = "small"', 'name = "../small"', "recipe.name: "),
        ('labels = ["a", "b"]', 'labels = ["a", "b"', "recipe: must be TOML"),
    ],
)
def test_an_error_names_the_key(old: str, new: str, message: str) -> None:
    """What is wrong in a recipe is told by the path of the key, or by the layer."""
    assert old in SMALL

    with pytest.raises(InvalidInput) as caught:
        recipe.parse(SMALL.replace(old, new))

    assert message in str(caught.value)


def test_the_tasks_of_the_heads() -> None:
    """Sigmoid over one label is a binary classifier, over more it is multi-label."""
    sigmoid = SMALL.replace('"softmax"', '"sigmoid"')
    one = sigmoid.replace('["a", "b"]', '["a"]').replace("units = 2", "units = 1")

    assert [recipe.parse(text).head.task for text in (SMALL, sigmoid, one)] == ["multiclass", "multilabel", "binary"]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_is_what_its_file_name_says(path: Path) -> None:
    """Every shipped recipe parses, is named as its file, and survives the way through a checkpoint."""
    made = recipe.load(path)

    assert made.name == path.stem
    assert recipe.from_json(recipe.to_json(made)) == made
    assert made.spec().facts == {"recipe": made.digest()}


def test_the_digest_is_that_of_the_values() -> None:
    """A comment changes nothing, a value does."""
    plain = recipe.parse(SMALL).digest()

    assert plain == recipe.parse(f"# made by hand\n{SMALL}").digest()
    assert plain != recipe.parse(f"seed = 1\n{SMALL}").digest()
