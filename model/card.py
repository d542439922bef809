"""The card beside a published model: exactly what was measured, for people (`card.md`) and programs (`card.json`)."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from types import MappingProxyType

from pydantic import TypeAdapter

from model.evaluate import Evaluation
from model.parity import LIMIT, Parity
from service.core.messages import Prediction
from service.core.spec import Spec
from service.engine.runtime import installed_runtime

CARD_MARKDOWN, CARD_JSON = "card.md", "card.json"
CONFUSION_PNG, RELIABILITY_PNG = "confusion.png", "reliability.png"


@dataclass(frozen=True, slots=True)
class Quality:
    """Measured once per release on images that took no part in training, choice of checkpoint or calibration.

    `calibration_error_before` is that of temperature 1; the temperature was fitted on `calibrated_on` other images.
    """

    split: str
    test: Evaluation
    calibration_error_before: float
    calibrated_on: int


@dataclass(frozen=True, slots=True)
class Size:
    """Parameters of the network, multiply-accumulates per image (convolutions and matrices), bytes of the file."""

    parameters: int
    macs: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How an INT8 variant was made from the version `source`, and how near it stays on `images` pictures.

    `calibration` says which pictures set the ranges; `accuracy_before` is that of `source` on the test images, 0..1;
    the signal-to-noise ratio is that of the logits, in decibels.
    """

    source: str
    source_digest: str
    calibration: str
    calibrated_on: int
    images: int
    same_decisions: int
    max_abs_logit_difference: float
    logits_sqnr_db: float
    accuracy_before: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One picture that the published file was shown, and its best predictions."""

    picture: str
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """All that is known about one published file; `digest` is the SHA-256 of `model.onnx`."""

    name: str
    task: str
    input: str
    labels: int
    digest: str
    size: Size
    parity: Parity | None  #: None for an INT8 variant, which was not made from PyTorch
    temperature: float
    quality: Quality | None
    examples: tuple[Example, ...]
    facts: dict[str, str]
    quantisation: Quantisation | None = None
    versions: dict[str, str] = field(default_factory=lambda: dict(tool_versions()))


_ADAPTER: TypeAdapter[Card] = TypeAdapter(Card)


def tool_versions() -> Mapping[str, str]:
    """Python and the libraries that had a say in the file."""
    libraries = {name: metadata.version(name) for name in ("torch", "onnx", "onnxscript", "numpy", "pillow")}
    runtime = installed_runtime()
    return MappingProxyType({"python": platform.python_version(), **libraries, runtime.distribution: runtime.version})


def describe_input(spec: Spec) -> str:
    """The picture a model takes, in words."""
    how = spec.preprocess
    crop = f" of {how.crop_fraction:g}" if how.resize == "crop" else ""
    colour = "RGB" if spec.channels == 3 else "grey"
    return f"{spec.height}x{spec.width} {colour}, {how.resize}{crop}, {how.interpolation}"


def to_json(card: Card) -> bytes:
    """The card as indented JSON."""
    return _ADAPTER.dump_json(card, indent=2) + b"\n"


def from_json(text: str | bytes) -> Card:
    """The inverse of `to_json`."""
    return _ADAPTER.validate_json(text)


def to_markdown(card: Card) -> str:
    """The card as a page that shows its plots, which lie in the same folder."""
    parts = [
        [f"# {card.name}", ""],
        _table(("", ""), _overview(card)),
        _quality(card) if card.quality else ["", "Accuracy was not measured here: see the facts above."],
        _examples(card.examples) if card.examples else [],
        ["", "Made with " + ", ".join(f"{name} {version}" for name, version in card.versions.items()) + "."],
    ]
    return "\n".join(line for part in parts for line in part) + "\n"


def _overview(card: Card) -> Iterator[Sequence[str]]:
    yield "input", card.input
    yield "task", f"{card.task}, {card.labels} labels"
    yield (
        "size",
        (
            f"{card.size.parameters:,} parameters, {card.size.macs:,} multiply-accumulates per image, "
            f"file of {card.size.file_bytes:,} bytes"
        ),
    )
    yield "digest", f"sha256 {card.digest}"
    if card.parity:
        yield "the file against PyTorch", _parity(card.parity)
    if card.quantisation:
        yield from _quantisation(card.quantisation)
    yield from card.facts.items()


def _parity(parity: Parity) -> str:
    return (
        f"largest logit difference {parity.max_abs_logit_difference:.2g} (limit {LIMIT:g}), same answer on "
        f"{parity.same_decisions:,} of {parity.images:,} images"
    )


def _quantisation(made: Quantisation) -> Iterator[Sequence[str]]:
    yield "variant", f"int8, from {made.source} (sha256 {made.source_digest})"
    yield "calibration", f"{made.calibrated_on:,} pictures: {made.calibration}"
    same = (
        f"same answer on {made.same_decisions:,} of {made.images:,} pictures ({made.same_decisions / made.images:.2%})"
    )
    noise = f"logits within {made.max_abs_logit_difference:.2g}, signal-to-noise ratio {made.logits_sqnr_db:.1f} dB"
    yield "against fp32", f"{same}, {noise}"
    if made.accuracy_before is not None:
        yield "accuracy of fp32", f"{made.accuracy_before:.2%} on the same images"


def _quality(card: Card) -> list[str]:
    quality = card.quality
    assert quality is not None
    test = quality.test
    right = round(test.accuracy * test.images)
    how = (
        f"{test.images:,} images that took no part in training, in the choice of the checkpoint or in calibration, run "
        "through the ONNX file by ONNX Runtime after the server's own preprocessing."
    )
    accuracy = f"- **Accuracy {test.accuracy:.2%}**: {right:,} right, {test.images - right:,} wrong"
    fitted = (
        "which is the fp32 version's"
        if card.quantisation
        else f"which was fitted on {quality.calibrated_on:,} validation images"
    )
    calibration = (
        f"- Expected calibration error ({len(test.bins)} bins): {quality.calibration_error_before:.4f} as trained, "
        f"**{test.calibration_error:.4f}** at temperature {card.temperature:.3f}, {fitted}"
    )
    lines = ["", f"## Quality on {quality.split}", "", how, "", accuracy, calibration]
    classes = [
        (c.label, f"{c.support:,}", f"{c.precision:.4f}", f"{c.recall:.4f}", f"{c.f1:.4f}") for c in test.classes
    ]
    table = _table(("label", "images", "precision", "recall", "F1"), classes)
    plots = [f"![Confusion matrix]({CONFUSION_PNG})"] if test.confusion else []
    return [*lines, "", *table, "", *plots, f"![Reliability diagram]({RELIABILITY_PNG})"]


def _examples(examples: Sequence[Example]) -> list[str]:
    rows = [(e.picture, ", ".join(f"{p.label} {p.score:.1%}" for p in e.predictions)) for e in examples]
    return ["", "## What it says about the stored sample pictures", "", *_table(("picture", "predictions"), rows)]


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
