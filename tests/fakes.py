"""Stand-ins that obey the contracts of `service.core.use_cases`, for tests of the edges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from service.core.errors import NoSuchModel, ServiceError
from service.core.messages import Answer, ModelKey, Options, Prediction, Timing
from service.core.spec import Spec
from service.core.status import ModelStatus
from service.core.tuning import Measurement, Setting, Tuning
from service.security.gate import CALLER

DIGEST = "5f" * 32
DIGITS = ModelKey("digits", 3)
TIMING = Timing(queue_us=11, decode_us=22, compute_us=33, batch_size=4, provider="cpu fp32")


@dataclass(frozen=True, slots=True)
class Call:
    """What the edge handed over."""

    id: str
    model: str
    version: int
    image: bytes
    options: Options
    deadline: float
    method: str


@dataclass
class FakeClassifier:
    """Answers "zero" to every picture but those in `failures`; pictures in `held` wait until it is set.

    The errors in `first` are raised before all that, one per call.
    """

    failures: dict[bytes, Exception] = field(default_factory=dict)
    held: dict[bytes, asyncio.Event] = field(default_factory=dict)
    first: list[ServiceError] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    timing: Timing = TIMING
    withdrawn: list[str] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)  #: who each call was from
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def classify(
        self, *, id: str, model: str, version: int, image: bytes, options: Options, deadline: float, method: str
    ) -> Answer:
        self.calls.append(Call(id, model, version, image, options, deadline, method))
        self.callers.append(CALLER.get().name)
        await self._changed()
        if self.first:
            raise self.first.pop(0)
        if image in self.held:
            await self._hold(id, self.held[image])
        if image in self.failures:
            raise self.failures[image]
        return replace(answer(id, options), timing=self.timing)

    async def seen(self, count: int) -> None:
        """Wait until `count` calls have arrived."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.calls) >= count)

    async def left(self, count: int) -> None:
        """Wait until `count` calls have been withdrawn."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.withdrawn) >= count)

    async def _hold(self, id: str, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.withdrawn.append(id)
            await self._changed()
            raise

    async def _changed(self) -> None:
        async with self.arrived:
            self.arrived.notify_all()


def answer(id: str, options: Options) -> Answer:
    """The one answer of `FakeClassifier`, cut to the options."""
    predictions = (Prediction("zero", 0, 0.75), Prediction("eight", 8, 0.25))[: options.top_k]
    kept = tuple(p for p in predictions if p.score >= options.min_score)
    return Answer(id, DIGITS, DIGEST, kept, (1.5, 0.5) if options.logits else (), TIMING)


CPU = Setting("cpu", "fp32", 2, 1, 4)
BF16 = Setting("openvino", "bf16", 2, 1, 8)
READY = ModelStatus(
    key=DIGITS,
    state="ready",
    digest=DIGEST,
    spec=Spec("digits", 1, 28, 28, ("zero", "one"), facts={"dataset": "mnist"}),
    tuning=Tuning(
        chosen=BF16,
        measurements=(
            Measurement(BF16, 11100.0, 1.5, 0.16, 1.0),
            Measurement(CPU, 5300.0, 3.0, 0.0, 1.0, rejected="slower"),
        ),
        cached=True,
    ),
    load_s=1.25,
    latest=True,
)
BROKEN = ModelStatus(ModelKey("fashion", 1), "failed", reason="model.onnx: digest differs from the manifest")


class FakeCatalog:
    """Holds `READY` and `BROKEN`; loading makes a version ready, unloading makes it available."""

    def __init__(self, statuses: Sequence[ModelStatus] = (READY, BROKEN)) -> None:
        self.statuses = {status.key: status for status in statuses}
        self.readiness = (True, "")

    def list(self) -> Sequence[ModelStatus]:
        return tuple(self.statuses.values())

    def get(self, name: str, version: int) -> ModelStatus:
        for key, status in self.statuses.items():
            if key.name == name and version in (0, key.version):
                return status
        raise NoSuchModel(f"no model {name!r} in version {version}")

    async def load(self, name: str, version: int) -> ModelStatus:
        return self._put(replace(self.get(name, version), state="ready", reason=""))

    async def unload(self, name: str, version: int) -> None:
        self._put(replace(self.get(name, version), state="available"))

    def ready(self) -> tuple[bool, str]:
        return self.readiness

    def _put(self, status: ModelStatus) -> ModelStatus:
        self.statuses[status.key] = status
        return status
