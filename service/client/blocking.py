"""The same client for code without an event loop: `AsyncClient` on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.client.blocking_examination import Examination
from service.client.values import Image, LoggedPrediction, ModelInfo, Result, RoutingInfo
from service.core.messages import Answer, Options
from service.core.routing import Routing

_DEFAULTS = Options()


class Client(Examination):
    """`AsyncClient`, blocking; may be shared by threads. Arguments and errors are the same."""

    def classify(
        self,
        image: Image,
        *,
        model: str,
        version: int = 0,
        options: Options = _DEFAULTS,
        id: str = "",
        timeout_s: float | None = None,
        label: str = "",
        route_key: str = "",
    ) -> Answer:
        """Classify one picture, given as bytes or as a file."""
        return self._run(
            self._client.classify(
                image,
                model=model,
                version=version,
                options=options,
                id=id,
                timeout_s=timeout_s,
                label=label,
                route_key=route_key,
            )
        )

    def classify_many(
        self,
        images: Iterable[Image],
        *,
        model: str,
        version: int = 0,
        options: Options = _DEFAULTS,
        concurrency: int = 16,
        label: str = "",
        route_key: str = "",
    ) -> Iterator[Result]:
        """Classify pictures as they are produced, at most `concurrency` at once; results come as they are ready."""
        results = self._client.classify_many(
            images,
            model=model,
            version=version,
            options=options,
            concurrency=concurrency,
            label=label,
            route_key=route_key,
        )
        return self._each(results)

    def models(self) -> list[ModelInfo]:
        """Every version of every model that the server knows."""
        return self._run(self._client.models())

    def model(self, name: str, version: int = 0) -> ModelInfo:
        """One version, 0 for the latest; raises `NoSuchModel`."""
        return self._run(self._client.model(name, version))

    def load(self, name: str, version: int = 0, *, timeout_s: float = 120.0) -> ModelInfo:
        """Have the server load a version of its store, and wait until it is ready or has failed."""
        return self._run(self._client.load(name, version, timeout_s=timeout_s))

    def unload(self, name: str, version: int = 0, *, timeout_s: float = 120.0) -> None:
        """Have the server unload a version (0: every one) when what is in flight is answered."""
        self._run(self._client.unload(name, version, timeout_s=timeout_s))

    def prediction(self, id: str) -> LoggedPrediction:
        """The newest logged request under this id, its picture ready to be looked into."""
        return self._run(self._client.prediction(id))

    def routing(self, model: str) -> RoutingInfo:
        """Which version callers of a model get who name none, or a label."""
        return self._run(self._client.routing(model))

    def set_routing(self, model: str, routing: Routing, revision: int = 0) -> RoutingInfo:
        """Put another routing in force."""
        return self._run(self._client.set_routing(model, routing, revision))

    def roll_back_routing(self, model: str, revision: int = 0) -> RoutingInfo:
        """Put the routing before in force again."""
        return self._run(self._client.roll_back_routing(model, revision))
