"""Evidence from hiding parts of the picture: occlusion and RISE. The network is not looked into at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.core.attribution import AttributionProgress, Method
from service.core.geometry import Box, Size
from service.core.perturbation import Masks, Tally, blended, filled, hiding
from service.core.saliency import PIXELS
from service.introspect.case import BATCH, Case, Finding, Found, Pace, batches


def runs(case: Case) -> int:
    """Pictures that will go through the network, the whole one included."""
    return 1 + (len(_boxes(case)) if case.request.method is Method.OCCLUSION else case.request.rise.masks)


def find_evidence(case: Case) -> Finding:
    """The evidence at each pixel of the network's input."""
    return _occlusion(case) if case.request.method is Method.OCCLUSION else _rise(case)


def _occlusion(case: Case) -> Finding:
    """How much of the score is lost on average when a pixel is hidden."""
    boxes, size = _boxes(case), _size(case)
    logits = case.network.logits(case.pixels[np.newaxis])
    whole = case.question.score(logits)[0]
    tally, pace = Tally(size), Pace(1 + len(boxes), case.request.snapshots)
    for start, end in batches(len(boxes), BATCH):
        masks = hiding(boxes[start:end], size)
        tally.add(1 - masks, whole - _scores(case, masks))
        yield AttributionProgress(1 + end, tally.values().astype(np.float32) if pace.due(1 + end) else None)
    return Found(tally.values(), PIXELS, logits[0])


def _rise(case: Case) -> Finding:
    """How much higher than on average the score is when a pixel is shown."""
    rise, size = case.request.rise, _size(case)
    random = np.random.default_rng(rise.seed)
    logits = case.network.logits(case.pixels[np.newaxis])
    tally, pace, total = Tally(size), Pace(1 + rise.masks, case.request.snapshots), 0.0
    for start, end in batches(rise.masks, BATCH):
        masks = rise.draw(random, end - start, size)
        scores = _scores(case, masks)
        tally.add(masks, scores)
        total += float(scores.sum())
        so_far = (tally.values() - total / end).astype(np.float32) if pace.due(1 + end) else None
        yield AttributionProgress(1 + end, so_far)
    return Found(tally.values() - total / rise.masks, PIXELS, logits[0])


def _scores(case: Case, masks: Masks) -> NDArray[np.float64]:
    background = filled(case.pixels, case.request.fill)
    return case.question.score(case.network.logits(blended(case.pixels, background, masks)))


def _boxes(case: Case) -> list[Box]:
    return case.request.occlusion.boxes(_size(case))


def _size(case: Case) -> Size:
    height, width, _ = case.pixels.shape
    return height, width
