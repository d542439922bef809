"""The recipe: everything that decides a model, in one TOML file, parsed once into frozen values.

May import `architecture`, `geometry` and `service.core`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from model import geometry
from model.architecture import Layer, NotNegative, Positive, named
from model.geometry import LayerGeometry
from service.core.errors import InvalidInput
from service.core.spec import Preprocess, Spec, Task

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Input:
    """The network's input; pixels, so 1 channel is gray and 3 are RGB."""

    channels: Literal[1, 3]
    height: Positive
    width: Positive


@dataclass(frozen=True, slots=True)
class Head:
    """What the logits mean and how they are trained: cross-entropy for softmax, binary cross-entropy for sigmoid.

    Sigmoid with one label is a binary classifier, the label being the positive class; with more it is multi-label.
    """

    type: Literal["softmax", "sigmoid"]
    labels: tuple[str, ...]
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  #: label smoothing, softmax only (Szegedy et al. 2016)

    @property
    def task(self) -> Task:
        """The spec's name for it."""
        if self.type == "softmax":
            return "multiclass"
        return "binary" if len(self.labels) == 1 else "multilabel"


@dataclass(frozen=True, slots=True)
class Idx:
    """IDX files as of MNIST: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, each also as `.gz`.

    `path` is relative to the data root; `vitrine-model data` puts "mnist" and "fashion" there.
    """

    type: Literal["idx"]
    path: str
    validation: Fraction = 1 / 12  #: share of each class of the training images held out for selection


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of pictures per class: `path/train/LABEL/*`, `path/val/LABEL/*`, `path/test/LABEL/*`.

    Without `val/` and `test/`, the shares `validation` and `test` of each class are held out of `path/LABEL/*`
    (or `path/train/LABEL/*`). A binary head reads the folder named like its label as positive and all others as
    negative. A multi-label head reads `labels.csv` in each split's folder: `file`, then one 0/1 column per label.
    """

    type: Literal["folder"]
    path: str
    validation: Fraction = 0.1
    test: Annotated[float, Field(ge=0, lt=1)] = 0.0


Data = Annotated[Idx | Folder, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class Affine:
    """Random rotation, scale, shear and shift about the centre, and a smooth elastic displacement in the same step.

    `rotate` and `shear` in degrees, `scale` as a share (0.1: 0.9 to 1.1, per axis), `shift` in pixels, each drawn
    uniformly from plus-minus. `elastic` is the standard deviation in pixels of displacements on a coarse grid of
    `cells` x `cells`, interpolated bicubically (in the spirit of Simard, Steinkraus & Platt 2003).
    """

    type: Literal["affine"]
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shear: Annotated[float, Field(ge=0, lt=80)] = 0.0
    shift: Annotated[float, Field(ge=0)] = 0.0
    elastic: Annotated[float, Field(ge=0)] = 0.0
    cells: Positive = 4
    fill: Literal["zeros", "border", "reflection"] = "zeros"


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror left to right with probability `probability`."""

    type: Literal["flip"]
    probability: Share = 0.5


@dataclass(frozen=True, slots=True)
class Crop:
    """Pad by `pixels` on all sides, then cut the original size at a random place."""

    type: Literal["crop"]
    pixels: Positive
    fill: Literal["zeros", "border", "reflection"] = "zeros"


@dataclass(frozen=True, slots=True)
class Erase:
    """Random erasing (Zhong et al. 2017): with `probability`, a box of `area` (share, from-to) becomes noise."""

    type: Literal["erase"]
    probability: Share = 0.5
    area: tuple[Fraction, Fraction] = (0.02, 0.2)
    aspect: Annotated[float, Field(ge=1)] = 3.0  #: side ratios from 1/aspect to aspect


@dataclass(frozen=True, slots=True)
class Brightness:
    """Contrast and brightness jitter: pixel * (1 +- contrast) + 255 * (+- brightness), clipped to 0..255."""

    type: Literal["brightness"]
    brightness: Share = 0.0
    contrast: Share = 0.0


Augmentation = Annotated[Affine | Flip | Crop | Erase | Brightness, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class Sgd:
    """Stochastic gradient descent. `weight_decay` spares biases and batch norms."""

    type: Literal["sgd"]
    rate: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


@dataclass(frozen=True, slots=True)
class AdamW:
    """AdamW (Loshchilov & Hutter 2019). `weight_decay` spares biases and batch norms."""

    type: Literal["adamw"]
    rate: PositiveFloat
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.01


Optimizer = Annotated[Sgd | AdamW, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate as a share of the optimizer's `rate`: linear rise over `warmup` of all steps, then `type`."""

    type: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True, slots=True)
class Training:
    """How the weights are found. `batch` is the global batch, shared among all processes.

    `ema` is the decay per step of the moving average of the weights, which is what is evaluated and published; 0
    turns it off. `threads` is part of the recipe because it decides the order of float additions, hence the last bits.
    """

    epochs: Positive
    batch: Positive
    optimizer: Optimizer
    schedule: Schedule = field(default_factory=Schedule)
    augment: tuple[Augmentation, ...] = ()
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip: Annotated[float, Field(ge=0)] = 0.0  #: largest gradient norm; 0 does not clip
    threads: Positive = 2
    checkpoint_steps: Positive = 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model from pixels to published file. `data` and `training` are absent when all weights are in the recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    input: Input
    layers: Annotated[tuple[Layer, ...], Field(min_length=1), AfterValidator(named)]
    head: Head
    preprocess: Preprocess = field(default_factory=Preprocess)
    data: Data | None = None
    training: Training | None = None
    seed: NotNegative = 0

    def __post_init__(self) -> None:
        """Check that the layers fit each other and the head; raises `InvalidInput`."""
        shape = self.geometry()[-1].target.shape
        if shape != (len(self.head.labels),):
            raise InvalidInput("layers", f"must end in one logit per label, [{len(self.head.labels)}]", list(shape))
        self.spec()

    def geometry(self) -> tuple[LayerGeometry, ...]:
        """The arithmetic of every layer, in order of computation."""
        source = geometry.image(self.input.channels, (self.input.height, self.input.width))
        return tuple(geometry.walk(self.layers, source))

    def spec(self) -> Spec:
        """What a server must know; the exporter adds layers, the evaluation a temperature."""
        return Spec(
            name=self.name,
            channels=self.input.channels,
            height=self.input.height,
            width=self.input.width,
            labels=self.head.labels,
            task=self.head.task,
            preprocess=self.preprocess,
            facts={"recipe": self.digest()},
        )

    def digest(self) -> str:
        """SHA-256, in hex, of the recipe's values: comments and order of keys in the TOML do not matter."""
        return sha256(to_json(self)).hexdigest()


_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def load(path: Path) -> Recipe:
    """Read a recipe from a TOML file. Raises `InvalidInput` naming the key path; `OSError` if it cannot be read."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Recipe:
    """Parse a recipe's TOML. Raises `InvalidInput` naming the key path, e.g. `recipe.layers.3.conv.kernel`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("recipe", "must be TOML", error) from None
    try:
        return _ADAPTER.validate_python(values, extra="forbid")
    except ValidationError as error:
        raise _named(error) from None


def to_json(recipe: Recipe) -> bytes:
    """The recipe's values as JSON, the form kept in checkpoints."""
    return _ADAPTER.dump_json(recipe)


def from_json(text: str | bytes) -> Recipe:
    """The inverse of `to_json`. Raises `InvalidInput`."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise _named(error) from None


def _named(error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in ("recipe", *first["loc"]))
    return InvalidInput(where, first["msg"], first["input"])
