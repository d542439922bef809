"""What a lane's thread does with a batch: bytes to pixels to logits to answers. It blocks; it knows no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.core.errors import BadImage, Cancelled, EngineFailed, ServiceError, TooLate
from service.core.events import BatchBisected, BatchRan, Dropped, Emit
from service.core.image import Limits, load
from service.core.messages import Answer, Lease, ModelKey, Outcome, Prediction, Timing
from service.core.ports import Engine
from service.core.scores import scores, top_k

Outcomes = list[tuple[Lease, Outcome]]


class Batches(Protocol):
    """What a lane's thread runs."""

    def classify(self, leases: Sequence[Lease], *, alone: bool = False) -> Outcomes:
        """One outcome for each lease; see `Lane.classify`."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """One lease's pixels [height, width, channels], or what is wrong with its bytes."""

    lease: Lease
    pixels: NDArray[np.uint8] | BadImage
    decode_s: float


class Lane:
    """Classifies batches of leases of one model version with one engine. Thread-safe."""

    def __init__(
        self, model: ModelKey, engine: Engine, limits: Limits, emit: Emit, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._engine = engine
        self._limits = limits
        self._emit = emit
        self._now = now

    def classify(self, leases: Sequence[Lease], *, alone: bool = False) -> Outcomes:
        """One outcome for each lease; `alone` says that no other lane has work.

        A batch that fails as a whole is tried again in halves, so that only the culprit fails.
        """
        try:
            return self._batch(leases, alone=alone)
        except Exception as error:  # noqa: BLE001 - the per-batch guard: whatever breaks one picture stays with it
            if len(leases) == 1:
                return [(leases[0], EngineFailed(f"model {self._model} failed on this picture: {error}"))]
            ids = tuple(lease.request.id for lease in leases)
            self._emit(BatchBisected(self._model, len(leases), str(error), ids))
            middle = len(leases) // 2
            return self.classify(leases[:middle]) + self.classify(leases[middle:])

    def _batch(self, leases: Sequence[Lease], *, alone: bool) -> Outcomes:
        leases[0].begun_s = leases[0].begun_s or self._now()
        outcomes: Outcomes = []
        pictures = []
        for lease in leases:
            picture = self._decode(lease)
            dropped = self._verdict(picture)
            if dropped is None:
                pictures.append(picture)
            else:
                outcomes.append((lease, dropped))
        return outcomes + self._infer(pictures, alone=alone) if pictures else outcomes

    def _decode(self, lease: Lease) -> _Picture:
        started = self._now()
        try:
            request = lease.request
            pixels: NDArray[np.uint8] | BadImage = load(
                request.image, self._engine.spec, self._limits, pixels=request.options.pixels
            )
        except BadImage as error:
            pixels = error
        return _Picture(lease, pixels, self._now() - started)

    def _verdict(self, picture: _Picture) -> ServiceError | None:
        """Why this picture is not computed, right before it would be; None when it is."""
        if picture.lease.request.late(self._now()):
            self._emit(Dropped(self._model, "compute", expired=True))
            return TooLate("deadline: it passed while the picture was decoded")
        if picture.lease.gone:
            self._emit(Dropped(self._model, "compute", expired=False))
            return Cancelled("the caller left before the answer was computed")
        return picture.pixels if isinstance(picture.pixels, BadImage) else None

    def _infer(self, pictures: Sequence[_Picture], *, alone: bool) -> Outcomes:
        pixels = [picture.pixels for picture in pictures]
        started = self._now()
        logits = self._engine.run(np.stack(pixels), alone=alone)  # type: ignore[arg-type]  # errors were sorted out above
        compute_s = self._now() - started
        self._report(pictures, compute_s)
        options = [picture.lease.request.options for picture in pictures]
        predictions = top_k(scores(logits, self._engine.spec), self._engine.spec, options)
        finite: list[bool] = np.all(np.isfinite(logits), axis=1).tolist()
        return [
            (picture.lease, self._answer(picture, row, best, compute_s, len(pictures)) if sound else self._not_finite())
            for picture, row, best, sound in zip(pictures, logits, predictions, finite, strict=True)
        ]

    def _answer(
        self,
        picture: _Picture,
        logits: NDArray[np.float32],
        predictions: tuple[Prediction, ...],
        compute_s: float,
        size: int,
    ) -> Answer:
        request = picture.lease.request
        timing = Timing(
            queue_us=int(picture.lease.waited_s * 1e6),
            decode_us=int(picture.decode_s * 1e6),
            compute_us=int(compute_s * 1e6),
            batch_size=size,
            provider=self._engine.tuning.chosen.label,
        )
        return Answer(
            id=request.id,
            model=self._model,
            digest=self._engine.digest,
            predictions=predictions,
            logits=tuple(logits.tolist()) if request.options.logits else (),
            timing=timing,
        )

    def _not_finite(self) -> EngineFailed:
        return EngineFailed(f"model {self._model} gave logits that are not finite for this picture")

    def _report(self, pictures: Sequence[_Picture], compute_s: float) -> None:
        self._emit(
            BatchRan(
                model=self._model,
                provider=self._engine.tuning.chosen.label,
                size=len(pictures),
                queue_s=tuple(picture.lease.waited_s for picture in pictures),
                decode_s=tuple(picture.decode_s for picture in pictures),
                compute_s=compute_s,
            )
        )
