"""What is asked about the health of a model, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.core.comparison import LayerDifference
from service.core.health import LayerHealth
from service.core.introspection import Kernels, Picture
from service.core.latency import KernelGroup
from service.core.layers import Selector
from service.core.messages import NEVER, ModelKey
from service.core.spec import Variant
from service.core.tuning import Setting


@dataclass(frozen=True, slots=True)
class DiagnoseRequest:
    """How some layers do on the pictures; without any, on the samples stored with the model."""

    model: str
    version: int = 0
    pictures: tuple[Picture, ...] = ()
    layers: Selector = field(default_factory=Selector)
    kernels: Kernels = Kernels.REFERENCE
    deadline: float = NEVER


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """How far `other` is from `model`; pictures as in `DiagnoseRequest`, with samples those of `model`.

    A layer diverges below `threshold_db` of signal-to-noise ratio; None is 15 between variants, 60 within one.
    """

    model: str
    version: int = 0
    other: str = ""  #: "" is the same model
    other_version: int = 0
    pictures: tuple[Picture, ...] = ()
    layers: Selector = field(default_factory=Selector)
    kernels: Kernels = Kernels.REFERENCE
    threshold_db: float | None = None
    deadline: float = NEVER


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """How long each layer takes in batches of `batch`, averaged over `runs`. 0 is the served batch, and 50 runs."""

    model: str
    version: int = 0
    batch: int = 0
    runs: int = 0
    deadline: float = NEVER


@dataclass(frozen=True, slots=True)
class Examinee:
    """One of the networks that an answer is about."""

    key: ModelKey
    digest: str
    variant: Variant


@dataclass(frozen=True, slots=True)
class DiagnosisHeader:
    """First event. `profile_images` 0: the version has no profile, so nothing is said about drift."""

    model: Examinee
    images: int
    are_samples: bool
    profile_images: int
    layers: int


@dataclass(frozen=True, slots=True)
class Progress:
    """So many of `total` steps are done."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class DiagnosisEnd:
    """Last event. `first_bad` is the first layer that gave NaN or infinities from finite inputs, "" if all were finite.

    `bad_weights` of its weights are no finite numbers.
    """

    first_bad: str
    bad_weights: int
    compute_s: float


DiagnosisEvent = DiagnosisHeader | Progress | LayerHealth | DiagnosisEnd


@dataclass(frozen=True, slots=True)
class ComparisonHeader:
    """First event. Layers are matched by id; `only_first` and `only_other` have no match."""

    first: Examinee
    other: Examinee
    images: int
    are_samples: bool
    threshold_db: float
    layers: int
    only_first: tuple[str, ...]
    only_other: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonEnd:
    """Last event.

    `first_diverging` is the first layer below the threshold, `largest_drop` the one that lost most against its
    inputs; "" if none. `agreement` is the share of pictures with the same best class, 0..1.
    """

    first_diverging: str
    largest_drop: str
    agreement: float
    max_logit_difference: float
    compute_s: float
    drops: Mapping[str, float] = field(default_factory=dict)  #: decibels by layer, as in the differences


ComparisonEvent = ComparisonHeader | Progress | LayerDifference | ComparisonEnd


@dataclass(frozen=True, slots=True)
class LatencyProfile:
    """Times per kernel of one batch. `setting` is how the model is served, `measured` what was measured.

    Where the serving provider runs the network as one kernel, it reports no times per layer: then `note` says so, and
    `measured` is the CPU provider. `served_us` is the time of a whole run as served.
    """

    model: Examinee
    setting: Setting
    measured: Setting
    note: str
    batch: int
    runs: int
    served_us: float
    run_us: float
    groups: tuple[KernelGroup, ...]
