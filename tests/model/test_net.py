from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model import net, recipe
from service.core.errors import InvalidInput
from service.core.spec import Preprocess

RECIPES = Path(recipe.__file__).with_name("recipes")
BLOCK = """
name = "block"
input = { channels = 3, height = 9, width = 7 }
head = { type = "sigmoid", labels = ["a", "b"] }
layers = [
    { type = "conv", name = "stem", filters = 4, kernel = 3, padding = [0, 1, 2, 1] },
    { type = "residual", name = "block", activation = "silu", layers = [
        { type = "conv", name = "conv", filters = 6, kernel = 3, stride = 2, padding = 1 },
        { type = "batch_norm", name = "norm" },
    ], projection = [{ type = "conv", name = "conv", filters = 6, kernel = 1, stride = 2 }] },
    { type = "global_avg_pool" },
    { type = "flatten" },
    { type = "dense", name = "classes", units = 2 },
]
"""


def test_the_worked_example_of_the_guide() -> None:
    """The pixels 0..8 under the kernel 0..3 give 19 25 / 37 43, with no scaling and no bias."""
    made = recipe.load(RECIPES / "guide.toml")
    pixels = torch.arange(9, dtype=torch.uint8).view(1, 1, 3, 3)

    logits = net.build(made)(net.normalise(pixels, made.preprocess))

    assert logits.tolist() == [[19.0, 25.0, 37.0, 43.0]]
    assert "conv" in dict(net.build(made).named_modules())


def test_module_paths_are_the_names_of_the_recipe() -> None:
    """Blocks add one level, their projection another; nothing else stands between."""
    paths = [path for path, module in net.build(recipe.parse(BLOCK)).named_modules() if not list(module.children())]

    assert paths == [
        "stem",
        "block.conv",
        "block.norm",
        "block.projection.conv",
        "block.activation",
        "global_avg_pool1",
        "flatten1",
        "classes",
    ]


def test_a_block_activates_after_the_sum() -> None:
    """A residual block is activation(body + projection)."""
    block = net.build(recipe.parse(BLOCK)).eval().get_submodule("block")
    pixels = torch.randn(2, 4, 9, 7)

    body = block.get_submodule("norm")(block.get_submodule("conv")(pixels))
    expected = torch.nn.functional.silu(body + block.get_submodule("projection")(pixels))
    assert torch.equal(expected, block(pixels))


def test_asymmetric_padding_pads_the_sides_it_names() -> None:
    """A convolution with [top, left, bottom, right] is a plain one on an image padded that way."""
    stem = net.build(recipe.parse(BLOCK)).get_submodule("stem")
    pixels = torch.randn(1, 3, 9, 7)

    padded = torch.zeros(1, 3, 11, 9)
    padded[:, :, 0:9, 1:8] = pixels
    expected = torch.nn.functional.conv2d(padded, stem.get_parameter("weight"), stem.get_parameter("bias"))
    assert torch.allclose(expected, stem(pixels), atol=1e-6)


def test_normalisation_is_the_specs() -> None:
    """(pixel * scale - mean) / std, per channel."""
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    preprocess = Preprocess(scale=0.5, mean=(0.0, 4.0, 7.5), std=(1.0, 2.0, 4.0))

    assert net.normalise(pixels, preprocess).flatten().tolist() == [0.0, 30.0, 30.0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "stem"', 'name = "forward"', "layers.name: must not be a name that torch modules use, got forward"),
        (
            "padding = [0, 1, 2, 1]",
            "weights = [[[[1]]]]",
            "stem.weights: must have shape [4, 3, 3, 3], got [1, 1, 1, 1]",
        ),
        (
            "padding = [0, 1, 2, 1]",
            "weights = [[[[1, 2], [3]]]]",
            "stem.weights: must be a regular 4-dimensional array",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(old: str, new: str, message: str) -> None:
    """Names of torch's own and kernels of a wrong shape are told by name."""
    made = recipe.parse(BLOCK.replace(old, new).replace("padding = 1 }", "padding = 1 }"))

    with pytest.raises(InvalidInput) as caught:
        net.build(made)

    assert str(caught.value).startswith(message)
