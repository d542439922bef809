"""The part of the async client that examines models.

async with AsyncClient("127.0.0.1:50051") as client:
    found = await client.diagnose("photos")
    print(found.end.first_bad, [id for id, layer in found.layers.items() if layer.silent])
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from service.client.introspection import AsyncIntrospection, Layers, selector
from service.client.values import Image
from service.core.comparison import LayerDifference
from service.core.diagnostics import (
    CompareRequest,
    ComparisonEnd,
    ComparisonEvent,
    ComparisonHeader,
    DiagnoseRequest,
    DiagnosisEnd,
    DiagnosisEvent,
    DiagnosisHeader,
    LatencyProfile,
    ProfileRequest,
)
from service.core.health import LayerHealth
from service.core.introspection import Kernels, Picture
from service.rpc.examinations import (
    from_compare_request,
    from_diagnose_request,
    from_profile_request,
    to_comparison,
    to_diagnosis,
    to_latency,
)

Images = Sequence[Image | Picture]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The health of some layers, by id."""

    header: DiagnosisHeader
    layers: Mapping[str, LayerHealth]
    end: DiagnosisEnd


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of two networks, by layer id."""

    header: ComparisonHeader
    layers: Mapping[str, LayerDifference]
    end: ComparisonEnd


class AsyncExamination(AsyncIntrospection):
    """Health, differences and times of layers. Without images, the samples stored with the model are used."""

    async def diagnose(
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
        pictures = [await self._picture(image) for image in images]
        request = DiagnoseRequest(model, version, tuple(pictures), selector(layers), kernels)
        async with aclosing(self.diagnosis(request, timeout_s=timeout_s)) as events:
            return diagnosis_of([event async for event in events])

    async def diagnosis(
        self, request: DiagnoseRequest, *, timeout_s: float | None = None
    ) -> AsyncGenerator[DiagnosisEvent, None]:
        """The same, event by event with its progress; who leaves stops the rest."""
        asked = from_diagnose_request(request)
        replies = self._stream(lambda left_s: self._inside.DiagnoseLayers(asked, timeout=left_s), timeout_s)
        async with aclosing(replies):
            async for reply in replies:
                yield to_diagnosis(reply)

    async def compare(
        self, request: CompareRequest, images: Images = (), *, timeout_s: float | None = None
    ) -> Comparison:
        """How far two versions are apart, layer by layer; `images` are added to the request's pictures."""
        pictures = [await self._picture(image) for image in images]
        whole = replace(request, pictures=(*request.pictures, *pictures))
        async with aclosing(self.comparison(whole, timeout_s=timeout_s)) as events:
            return comparison_of([event async for event in events])

    async def comparison(
        self, request: CompareRequest, *, timeout_s: float | None = None
    ) -> AsyncGenerator[ComparisonEvent, None]:
        """The same, event by event with its progress; who leaves stops the rest."""
        asked = from_compare_request(request)
        replies = self._stream(lambda left_s: self._inside.CompareVersions(asked, timeout=left_s), timeout_s)
        async with aclosing(replies):
            async for reply in replies:
                yield to_comparison(reply)

    async def profile(
        self, model: str, *, version: int = 0, batch: int = 0, runs: int = 0, timeout_s: float | None = None
    ) -> LatencyProfile:
        """How long each layer takes as served; `batch` 0 is the served one, `runs` 0 the server's choice."""
        asked = from_profile_request(ProfileRequest(model, version, batch, runs))
        return to_latency(await self._call(lambda left_s: self._inside.ProfileLayers(asked, timeout=left_s), timeout_s))


def diagnosis_of(events: Sequence[DiagnosisEvent]) -> Diagnosis:
    """A whole answer: its header, its layers, its end."""
    header, *rest, end = events
    assert isinstance(header, DiagnosisHeader)
    assert isinstance(end, DiagnosisEnd)
    return Diagnosis(header, {event.layer.id: event for event in rest if isinstance(event, LayerHealth)}, end)


def comparison_of(events: Sequence[ComparisonEvent]) -> Comparison:
    """A whole answer: its header, its layers, its end."""
    header, *rest, end = events
    assert isinstance(header, ComparisonHeader)
    assert isinstance(end, ComparisonEnd)
    return Comparison(header, {event.layer: event for event in rest if isinstance(event, LayerDifference)}, end)
