"""The part of the blocking client that looks into models. Arguments and errors are those of `AsyncIntrospection`."""

from __future__ import annotations

from collections.abc import Iterator

from service.client.feature_maps import FeatureMaps, LayerMaps
from service.client.introspection import Evidence, Layers
from service.client.thread import Threaded
from service.client.values import Image
from service.core.attribution import AttributionEvent, AttributionRequest, Method, Target
from service.core.encodings import Encoding, Kind
from service.core.faithfulness import Check
from service.core.introspection import Kernels, Listing, MapsRequest, Picture, RunEnd, RunHeader, UnitAnswer
from service.core.maps import Wanted
from service.core.overlay import Overlay
from service.core.units import Place

_NUMBERS = Encoding(Kind.FLOAT32)
_WANTED = Wanted()


class Introspection(Threaded):
    """Layers, feature maps, the arithmetic of units, and evidence for classes."""

    def layers(self, model: str, layers: Layers = (), *, version: int = 0) -> Listing:
        """All that is known about the chosen layers, by default every module call."""
        return self._run(self._client.layers(model, layers, version=version))

    def features(
        self,
        layers: Layers,
        image: Image | Picture,
        *,
        model: str,
        version: int = 0,
        wanted: Wanted = _WANTED,
        encoding: Encoding = _NUMBERS,
        kernels: Kernels = Kernels.REFERENCE,
        max_bytes: int = 0,
        timeout_s: float | None = None,
    ) -> FeatureMaps:
        """What the layers saw in a picture, as arrays by layer id."""
        return self._run(
            self._client.features(
                layers,
                image,
                model=model,
                version=version,
                wanted=wanted,
                encoding=encoding,
                kernels=kernels,
                max_bytes=max_bytes,
                timeout_s=timeout_s,
            )
        )

    def maps(self, request: MapsRequest, *, timeout_s: float | None = None) -> Iterator[RunHeader | LayerMaps | RunEnd]:
        """The same for whatever can be asked, layer by layer as they are computed."""
        return self._each(self._client.maps(request, timeout_s=timeout_s))

    def explain(self, layer: str, place: Place, image: Image | Picture, *, model: str, version: int = 0) -> UnitAnswer:
        """Every factor behind the value at `place` (channel, y, x) of a layer, by its id."""
        return self._run(self._client.explain(layer, place, image, model=model, version=version))

    def attribute(
        self,
        image: Image | Picture,
        *,
        model: str,
        version: int = 0,
        target: Target = None,
        versus: Target = None,
        method: Method | str = Method.AUTO,
        layer: str = "",
        signed: bool = False,
        overlay: Overlay | None = None,
        check: Check | None = None,
        timeout_s: float | None = None,
    ) -> Evidence:
        """Where the evidence for `target` is, by default for the best class; with `versus`, for it rather than that."""
        return self._run(
            self._client.attribute(
                image,
                model=model,
                version=version,
                target=target,
                versus=versus,
                method=method,
                layer=layer,
                signed=signed,
                overlay=overlay,
                check=check,
                timeout_s=timeout_s,
            )
        )

    def attribution(self, request: AttributionRequest, *, timeout_s: float | None = None) -> Iterator[AttributionEvent]:
        """Whatever else can be asked, event by event with its progress."""
        return self._each(self._client.attribution(request, timeout_s=timeout_s))
