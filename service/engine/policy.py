"""What the operator decides about running models; the rest is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.core.errors import InvalidInput
from service.engine.providers import Wanted

#: "auto": any precision whose answers agree; "exact": fp32 only; a name: that one, if its answers agree.
Precision = Literal["auto", "exact", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """How models may be run on this host. A number that is None is measured. Raises `InvalidInput`."""

    providers: Wanted = "auto"
    precision: Precision = "auto"
    lanes: int | None = None
    intra_op_threads: int | None = None
    batch: int | None = None
    latency_ceiling_ms: float = 50.0  #: p50 of one batch with all lanes busy
    tuning_budget_s: float = 6.0  #: what measuring one model may take, once per host
    alone: bool = True  #: open a second session on all cores for an image that comes alone, where it is faster
    cache_dir: Path | None = None  #: None: beside the model, or the user's cache folder where that is read-only

    def __post_init__(self) -> None:
        for name in ("lanes", "intra_op_threads", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(name, "must be at least 1, or unset to be measured", value)
        for name in ("latency_ceiling_ms", "tuning_budget_s"):
            if not getattr(self, name) > 0:
                raise InvalidInput(name, "must be positive", getattr(self, name))
