"""From a network and its pictures to the files of one published version: export, gate, calibrate, judge, describe."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model import calibrate, card, parity, plots, reference
from model.card import Card, Example, Quality, Size
from model.data.splits import Images
from model.evaluate import Evaluation, evaluate
from model.export import export, with_spec
from model.profile import profile
from service.core.manifest import MODEL_FILE, PROFILE_FILE, SAMPLES_FILE
from service.core.messages import Options
from service.core.scores import scores, top_k
from service.core.spec import Spec

_GATE = 1000  #: images for the gate
_SMALL_PX = 64 * 64
_SAMPLES_SMALL, _SAMPLES_LARGE = 256, 32  #: stored samples, for inputs of up to `_SMALL_PX` pixels and beyond


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a network is checked on: `real` pixels uint8 [N, height, width, channels], N >= 1, as preprocessed.

    `validation` fits the temperature, `test` judges; `names` belong to `real` and appear in the card. `more` are for
    the comparison with the network only.
    """

    real: NDArray[np.uint8]
    validation: Images | None = None
    test: Images | None = None
    test_name: str = "the test split"
    names: tuple[str, ...] = ()
    more: NDArray[np.uint8] | None = None

    @property
    def proving(self) -> NDArray[np.uint8]:
        """What the file is compared with the network on."""
        return evenly(self.real if self.more is None else np.concatenate([self.real, self.more]), _GATE)


@dataclass(frozen=True, slots=True)
class Release:
    """Everything that will lie in the version's folder, beside the manifest."""

    card: Card
    files: Mapping[str, bytes] = field(repr=False)


def release(net: nn.Module, spec: Spec, pictures: Pictures) -> Release:
    """Export `net`, prove it, measure it. Raises `Refused` when the ONNX file differs from the network."""
    model, spec = export(net, spec)
    proof = parity.check(net, model, spec, pictures.proving)
    spec = _calibrated(model, spec, pictures.validation)
    tested = None if pictures.test is None else reference.logits(model, pictures.test.pixels)
    before, after = judged(tested, spec, pictures)
    spec = replace(spec, facts={**spec.facts, **headline(after, pictures.test_name)})
    model = with_spec(onnx.load_from_string(model), spec)
    pixels = evenly(pictures.real, _SAMPLES_SMALL if spec.height * spec.width <= _SMALL_PX else _SAMPLES_LARGE)
    logits = reference.logits(model, pixels)
    described = Card(
        name=spec.name,
        task=spec.task,
        input=card.describe_input(spec),
        labels=len(spec.labels),
        digest=hashlib.sha256(model).hexdigest(),
        size=Size(sum(weight.numel() for weight in net.parameters()), macs(net, spec), len(model)),
        parity=proof,
        temperature=spec.temperature,
        quality=quality(before, after, pictures),
        examples=examples(logits, spec, pictures.names),
        facts=dict(spec.facts),
    )
    files = {
        MODEL_FILE: model,
        SAMPLES_FILE: npz(pixels=pixels, logits=logits),
        PROFILE_FILE: profile(model, spec, evenly(pictures.real, _GATE)),
        card.CARD_JSON: card.to_json(described),
        card.CARD_MARKDOWN: card.to_markdown(described).encode(),
    }
    return Release(described, {**files, **plot_files(before, after, spec, pictures)})


def evenly(pixels: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """At most `count` of the pixels, evenly spaced: all classes, also when the data is sorted by class."""
    if len(pixels) <= count:
        return pixels
    return pixels[np.linspace(0, len(pixels) - 1, count).round().astype(np.int64)]


def macs(net: nn.Module, spec: Spec) -> int:
    """Multiply-accumulates of convolutions and matrix products for one image."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.zeros(1, spec.channels, spec.height, spec.width))
    return int(counter.get_total_flops()) // 2


def _calibrated(model: bytes, spec: Spec, validation: Images | None) -> Spec:
    if validation is None:
        return spec
    logits = reference.logits(model, validation.pixels)
    return replace(spec, temperature=calibrate.temperature(logits, validation.targets, spec.task))


def judged(
    logits: NDArray[np.float32] | None, spec: Spec, pictures: Pictures
) -> tuple[Evaluation, Evaluation] | tuple[None, None]:
    """The quality of logits on the test images: at temperature 1, and at the spec's."""
    if logits is None or pictures.test is None:
        return None, None
    targets = pictures.test.targets
    return evaluate(logits, targets, replace(spec, temperature=1.0)), evaluate(logits, targets, spec)


def headline(after: Evaluation | None, test_name: str) -> dict[str, str]:
    """The one number that people ask for, as a fact of the spec."""
    if after is None:
        return {}
    return {"accuracy": f"{after.accuracy:.2%} on {after.images:,} images of {test_name}"}


def quality(before: Evaluation | None, after: Evaluation | None, pictures: Pictures) -> Quality | None:
    """What the card tells of a judgement."""
    if before is None or after is None:
        return None
    calibrated_on = len(pictures.validation) if pictures.validation is not None else 0
    return Quality(pictures.test_name, after, before.calibration_error, calibrated_on)


def examples(logits: NDArray[np.float32], spec: Spec, names: tuple[str, ...]) -> tuple[Example, ...]:
    """The best predictions of each named picture; none where the names do not fit."""
    if len(names) != len(logits):
        return ()
    best = top_k(scores(logits, spec), spec, [Options(top_k=3)] * len(names))
    return tuple(Example(name, predictions) for name, predictions in zip(names, best, strict=True))


def plot_files(
    before: Evaluation | None, after: Evaluation | None, spec: Spec, pictures: Pictures
) -> Mapping[str, bytes]:
    """The plots of the card, by file name; none without a judgement."""
    if before is None or after is None:
        return {}
    title = f"{spec.name} on {pictures.test_name}"
    files = {card.RELIABILITY_PNG: plots.reliability(before, after, title)}
    if after.confusion:
        files[card.CONFUSION_PNG] = plots.confusion(after, spec.labels, f"{title}: accuracy {after.accuracy:.2%}")
    return files


def npz(**arrays: NDArray[np.generic]) -> bytes:
    """Arrays as the bytes of an NPZ file."""
    target = io.BytesIO()
    np.savez_compressed(target, allow_pickle=False, **arrays)
    return target.getvalue()
