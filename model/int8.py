"""From a published fp32 version to the files of its INT8 variant: quantise, gate, judge, describe."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from model import card, importing, published, reference, runs
from model.card import Card, Quantisation, Size
from model.data.splits import Images
from model.evaluate import Evaluation, evaluate
from model.export import with_spec
from model.parity import decisions
from model.profile import profile
from model.quantize import quantise
from model.release import Pictures, Release, evenly, headline, judged, npz, plot_files, quality
from service.core.errors import Refused
from service.core.layers import Role
from service.core.manifest import MODEL_FILE, PROFILE_FILE, SAMPLES_FILE
from service.engine.store import StoredModel

#: Share of pictures on which both variants must decide alike, and how much accuracy (0..1) the test may cost.
MIN_AGREEMENT, MAX_LOSS = 0.98, 0.01
_CALIBRATION = 512  #: pictures; ranges hardly move after some hundred


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a variant is made and checked with: `pixels` uint8 [N, height, width, channels], N >= 1, as preprocessed.

    `test` judges it; without one, only the agreement with the fp32 version is known.
    """

    pixels: NDArray[np.uint8]
    origin: str
    test: Images | None = None
    test_name: str = ""


def calibration(stored: StoredModel, source: Path | None, data_root: Path) -> Calibration:
    """The pictures to quantise with: those of a folder, of a recipe's training split, or the version's samples.

    A recipe's test split then judges. Raises `InvalidInput`.
    """
    if source is None:
        return Calibration(stored.samples().pixels, f"the samples stored with {stored.key}")
    if source.is_dir():
        return Calibration(importing.read_pictures(source, stored.spec).real, f"the folder {source.name}")
    made, splits = runs.data_for(stored.spec, source, data_root)
    assert made.data is not None
    name = made.data.path
    return Calibration(splits.train.pixels, f"the training split of {name}", splits.test, f"the test split of {name}")


def release_int8(stored: StoredModel, calibration: Calibration) -> Release:
    """Quantise a published version, prove it, measure it. Raises `Refused` when it decides too differently."""
    used = replace(calibration, pixels=evenly(calibration.pixels, _CALIBRATION))
    model, spec = quantise(stored.model, stored.spec, used.pixels)
    checked = used.pixels if used.test is None else used.test.pixels
    logits = reference.logits(model, checked)
    made = _compared(stored, reference.logits(stored.model, checked), logits, used)
    before, after = judged(logits, spec, _pictures(used))
    _gate(made, after)
    if after is not None:
        spec = replace(spec, facts={**spec.facts, **headline(after, used.test_name)})
        model = with_spec(onnx.load_from_string(model), spec)
    samples = stored.samples().pixels
    described = Card(
        name=spec.name,
        task=spec.task,
        input=card.describe_input(spec),
        labels=len(spec.labels),
        digest=hashlib.sha256(model).hexdigest(),
        size=_size(stored, model),
        parity=None,
        temperature=spec.temperature,
        quality=quality(before, after, _pictures(used)),
        examples=(),
        facts=dict(spec.facts),
        quantisation=made,
    )
    files = {
        MODEL_FILE: model,
        SAMPLES_FILE: npz(pixels=samples, logits=reference.logits(model, samples)),
        PROFILE_FILE: profile(model, spec, used.pixels),
        card.CARD_JSON: card.to_json(described),
        card.CARD_MARKDOWN: card.to_markdown(described).encode(),
    }
    return Release(described, {**files, **plot_files(before, after, spec, _pictures(used))})


def _pictures(used: Calibration) -> Pictures:
    return Pictures(used.pixels, None, used.test, used.test_name)


def _compared(
    stored: StoredModel, before: NDArray[np.float32], after: NDArray[np.float32], used: Calibration
) -> Quantisation:
    same = np.all(decisions(before, stored.spec.task) == decisions(after, stored.spec.task), axis=1)
    signal, noise = (float(np.linalg.norm(each.astype(np.float64))) for each in (before, before - after))
    return Quantisation(
        source=str(stored.key),
        source_digest=stored.digest,
        calibration=used.origin,
        calibrated_on=len(used.pixels),
        images=len(same),
        same_decisions=int(same.sum()),
        max_abs_logit_difference=float(np.abs(before - after).max()),
        logits_sqnr_db=20 * math.log10(signal / noise) if noise and signal else math.inf,
        accuracy_before=None if used.test is None else evaluate(before, used.test.targets, stored.spec).accuracy,
    )


def _gate(made: Quantisation, after: Evaluation | None) -> None:
    agreement = made.same_decisions / made.images
    if not agreement >= MIN_AGREEMENT:
        raise Refused(
            f"{made.source}: its INT8 variant decides alike on {made.same_decisions} of {made.images} pictures "
            f"({agreement:.2%}, at least {MIN_AGREEMENT:.0%} is required); nothing was published"
        )
    if after is not None and made.accuracy_before is not None and made.accuracy_before - after.accuracy > MAX_LOSS:
        raise Refused(
            f"{made.source}: its INT8 variant is right on {after.accuracy:.2%} of {after.images} images, fp32 on "
            f"{made.accuracy_before:.2%} (at most {MAX_LOSS:.0%} less is allowed); nothing was published"
        )


def _size(stored: StoredModel, model: bytes) -> Size:
    leaves = [row for row in published.layers(stored.model, stored.spec) if Role.BLOCK not in row.roles]
    return Size(sum(row.parameters for row in leaves), sum(row.macs for row in leaves), len(model))
