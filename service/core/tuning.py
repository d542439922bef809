"""How a model is run, and the measurements that chose it."""

from __future__ import annotations

from dataclasses import dataclass

#: Providers that compute on threads, or on a device, of their own: whoever hands a batch in only waits for it.
_ELSEWHERE = frozenset({"openvino", "cuda", "tensorrt"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run a model: `lanes` batches at once with `intra_op_threads` each, batches up to `batch`."""

    provider: str  #: short name: "cpu", "openvino", "cuda", ...
    precision: str  #: "fp32", "bf16", ...
    lanes: int
    intra_op_threads: int
    batch: int

    @property
    def label(self) -> str:
        """Provider and precision for people and answers, e.g. "openvino bf16"."""
        return f"{self.provider} {self.precision}"

    @property
    def elsewhere(self) -> bool:
        """Whether the provider computes on threads, or on a device, of its own."""
        return self.provider in _ELSEWHERE

    @property
    def hands(self) -> int:
        """Threads that carry batches from bytes to scores.

        Two for each lane where the provider computes elsewhere: one decodes while the other waits for its batch, and
        what it has decoded lies with the provider already when the lane falls free. Otherwise the lanes themselves.
        """
        return 2 * self.lanes if self.elsewhere else self.lanes

    @property
    def threads(self) -> int:
        """All that run: those that compute, and the hands where those are others."""
        computing = self.lanes * self.intra_op_threads
        return computing + self.hands if self.elsewhere else computing


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one setting reached on this host, or why it may not be used.

    `latency_ms` is the p50 of one batch with all lanes busy; agreement is against CPU fp32 on the stored samples.
    """

    setting: Setting
    images_per_second: float
    latency_ms: float
    max_logit_difference: float
    top1_agreement: float
    rejected: str = ""


@dataclass(frozen=True, slots=True)
class Tuning:
    """The chosen setting and the whole table it was chosen from.

    `alone` is for one image while nothing else runs: all cores work on it. None where that is no faster.
    """

    chosen: Setting
    measurements: tuple[Measurement, ...]
    alone: Setting | None = None
    cached: bool = False
    fallback: str = ""  #: with "auto": why a preferred provider is not used
