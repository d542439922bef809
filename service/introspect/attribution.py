"""Evidence for a class, from a served model's own file: a header, progress where it takes long, and the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.core.attribution import (
    AttributionEvent,
    AttributionHeader,
    AttributionProgress,
    AttributionResult,
    Method,
)
from service.core.errors import EngineFailed, OverBudget
from service.core.faithfulness import Check, Curves, Faithfulness, ranks, revealing
from service.core.introspection import Classified, Parity
from service.core.messages import Options
from service.core.overlay import paint
from service.core.perturbation import blended, blurred
from service.core.saliency import enlarged
from service.core.scores import scores, top_k
from service.introspect import activation_maps, masking
from service.introspect.case import BATCH, Case, Finding, Found, batches
from service.introspect.tapping import Shot, Subject

_MASKING = frozenset({Method.OCCLUSION, Method.RISE})


def events(
    case: Case, subject: Subject, shot: Shot, max_runs: int, now: Callable[[], float] = time.monotonic
) -> Iterator[AttributionEvent]:
    """The answer to one question. Each step blocks. Raises any `ServiceError`."""
    started = now()
    header, finding = _begun(case, subject, shot)
    if header.runs > max_runs:
        raise OverBudget(f"runs: the answer takes {header.runs} runs of the network, allowed are {max_runs}")
    yield header
    found = yield from finding
    if not np.isfinite(found.values).all():
        raise EngineFailed("the map is not finite: some layer gives NaN or infinity; DiagnoseLayers names the first")
    checked = yield from _checked(case, found, header)
    compute_s = now() - started - case.network.build_s
    yield replace(_result(case, found, header, shot), faithfulness=checked, compute_s=compute_s)


def _begun(case: Case, subject: Subject, shot: Shot) -> tuple[AttributionHeader, Finding]:
    """What will be done, and the doing of it."""
    request, spec, asked = case.request, case.spec, case.question
    if request.method in _MASKING:
        method, reason, layer, runs = request.method, "", None, masking.runs(case)
        finding = masking.find_evidence(case)
    else:
        chosen = activation_maps.approach(case)
        method, reason, layer, runs = chosen.method, chosen.reason, chosen.layer, chosen.runs
        finding = activation_maps.find_evidence(case, chosen)
    classes = (asked.target,) if asked.versus is None else (asked.target, asked.versus)
    (best,) = top_k(scores(shot.logits[np.newaxis], spec), spec, [Options()])
    header = AttributionHeader(
        key=subject.key,
        digest=subject.source.digest,
        picture=Classified(shot.id, best),
        method=method,
        reason=reason,
        layer=layer,
        target=asked.target,
        versus=asked.versus,
        labels=tuple(spec.labels[index] for index in classes),
        runs=runs + (request.check.runs if request.check else 0),
    )
    return header, finding


def _checked(
    case: Case, found: Found, header: AttributionHeader
) -> Generator[AttributionProgress, None, Faithfulness | None]:
    """The curves of the map and of random maps of its grain, if they are wanted."""
    check = case.request.check
    if check is None:
        return None
    curves = []
    for values in (found.values, *check.controls_like(found.values)):
        curves.append(_curves(case, check, enlarged(values, found.place, case.pixels.shape[:2])))
        done = header.runs - check.runs + len(curves) * check.runs // (1 + check.controls)
        yield AttributionProgress(done)
    return Faithfulness(curves[0], tuple(curves[1:]))


def _curves(case: Case, check: Check, evidence: NDArray[np.float64]) -> Curves:
    places, soft = ranks(evidence), blurred(case.pixels)
    shares = np.arange(check.steps + 1) / check.steps
    insertion: list[float] = []
    deletion: list[float] = []
    for start, end in batches(len(shares), BATCH):
        shown = revealing(places, shares[start:end])
        for curve, masks in ((insertion, shown), (deletion, 1 - shown)):
            logits = case.network.logits(blended(case.pixels, soft, masks))
            curve.extend(scores(logits, case.spec)[:, case.question.target].tolist())
    return Curves(tuple(insertion), tuple(deletion))


def _result(case: Case, found: Found, header: AttributionHeader, shot: Shot) -> AttributionResult:
    overlay = case.request.overlay
    score = float(case.question.score(found.logits[np.newaxis])[0])
    total = float(found.values.sum())
    title = f"{header.method.value}: {' rather than '.join(header.labels)}"
    large = enlarged(found.values, found.place, case.pixels.shape[:2])
    return AttributionResult(
        values=found.values.astype(np.float32),
        placement=found.place,
        score=score,
        total=total,
        parity=Parity(float(np.abs(found.logits - shot.logits).max()), here=True),
        bias=found.bias,
        residual=abs(total + found.bias - score),
        painted=paint(case.pixels, large, overlay, title) if overlay else None,
        build_s=case.network.build_s,
    )
