"""The part of the blocking client that examines models. Arguments and errors are those of `AsyncExamination`."""

from __future__ import annotations

from collections.abc import Iterator

from service.client.blocking_introspection import Introspection
from service.client.examination import Comparison, Diagnosis, Images
from service.client.introspection import Layers
from service.core.diagnostics import (
    CompareRequest,
    ComparisonEvent,
    DiagnoseRequest,
    DiagnosisEvent,
    LatencyProfile,
)
from service.core.introspection import Kernels


class Examination(Introspection):
    """Health, differences and times of layers."""

    def diagnose(
        self,
        model: str,
        layers: Layers = (),
        images: Images = (),
        *,
        version: int = 0,
        kernels: Kernels = Kernels.REFERENCE,
        timeout_s: float | None = None,
    ) -> Diagnosis:
        """Statistics, NaN, dead and saturated channels, and drift of the chosen layers, by default all modules."""
        return self._run(
            self._client.diagnose(model, layers, images, version=version, kernels=kernels, timeout_s=timeout_s)
        )

    def diagnosis(self, request: DiagnoseRequest, *, timeout_s: float | None = None) -> Iterator[DiagnosisEvent]:
        """The same, event by event with its progress; who leaves stops the rest."""
        return self._each(self._client.diagnosis(request, timeout_s=timeout_s))

    def compare(self, request: CompareRequest, images: Images = (), *, timeout_s: float | None = None) -> Comparison:
        """How far two versions are apart, layer by layer."""
        return self._run(self._client.compare(request, images, timeout_s=timeout_s))

    def comparison(self, request: CompareRequest, *, timeout_s: float | None = None) -> Iterator[ComparisonEvent]:
        """The same, event by event with its progress; who leaves stops the rest."""
        return self._each(self._client.comparison(request, timeout_s=timeout_s))

    def profile(
        self, model: str, *, version: int = 0, batch: int = 0, runs: int = 0, timeout_s: float | None = None
    ) -> LatencyProfile:
        """How long each layer takes as served."""
        return self._run(self._client.profile(model, version=version, batch=batch, runs=runs, timeout_s=timeout_s))
