"""Statistics of whole layers and nothing else, which is the cheap way to look at all of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.core.introspection import Kernels, LayerEnd, LayerHeader, MapsEvent, MapsRequest
from service.core.layers import LayerInfo
from service.core.maps import Wanted
from service.core.moved import Origin
from service.core.statistics import Statistics, statistics, with_zeros
from service.introspect.layers import Anatomy
from service.introspect.pricing import Priced
from service.introspect.tapping import Tapped


def is_summary(request: MapsRequest, anatomy: Anatomy) -> bool:
    """Whether a request asks for no more than that."""
    return not request.encoding.kind.has_values and request.wanted == Wanted() and not anatomy.integers


class Summaries:
    """Walks each tensor once, and none that only holds the values of another in other places.

    As served, that other one may be gone, and fetching it would make another network: then each is walked.
    """

    def __init__(self, anatomy: Anatomy, kernels: Kernels) -> None:
        self._origins: Mapping[str, Origin] = {} if kernels is Kernels.AS_SERVED else anatomy.origins
        self._tapped: Tapped | None = None
        self._walked: dict[str, Statistics] = {}  #: of the run last shown

    def source(self, layer: LayerInfo) -> str:
        """The tensor to fetch for the statistics of a layer."""
        return self._origin(layer).tensor

    def events(self, each: Priced, tapped: Tapped, *, ordinal: int, picture: int) -> Iterator[MapsEvent]:
        """One layer's statistics. Blocks."""
        if tapped is not self._tapped:
            self._tapped, self._walked = tapped, {}
        source, zeros = self._origin(each.layer)
        if source not in self._walked:
            self._walked[source] = statistics(tapped.values[source])
        seen = with_zeros(self._walked[source], zeros)
        yield LayerHeader(ordinal, each.layer, picture, each.shape, each.channels, each.box, 0, seen)
        yield LayerEnd(ordinal, 0)

    def _origin(self, layer: LayerInfo) -> Origin:
        return self._origins.get(layer.tensor) or Origin(layer.tensor, 0)
