"""The use case behind `ModelInfer`: tensors to pictures, through the same queue as everything else, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.core.access import Scope
from service.core.errors import NotReady, TooLate
from service.core.messages import ModelKey, Options
from service.core.routing import unrouted
from service.core.status import ModelStatus
from service.core.use_cases import Choose, ClassifyingAll, ModelCatalog
from service.oip import describe
from service.oip.layers import LayerOutputs
from service.oip.messages import InferRequest, InferResponse
from service.oip.outputs import declared, plan, provenance, tensors
from service.oip.pictures import pictures
from service.rpc.classifier import check_id
from service.security.gate import CALLER
from service.telemetry.statistics import Statistics


@dataclass(frozen=True, slots=True)
class About:
    """The server's version, and how many pictures one request may hold."""

    version: str
    max_batch: int


class OpenInference:
    """What the protocol asks of this server, over any wire."""

    def __init__(
        self,
        about: About,
        inside: ClassifyingAll,
        catalog: ModelCatalog,
        layers: LayerOutputs,
        statistics: Statistics,
        *,
        ready: Callable[[], tuple[bool, str]],
        choose: Choose = unrouted,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._about = about
        self._inside = inside
        self._catalog = catalog
        self._layers = layers
        self._statistics = statistics
        self._ready = ready
        self._choose = choose
        self._now = now

    async def infer(self, request: InferRequest, deadline: float, method: str) -> InferResponse:
        """Answer one request. `deadline` in seconds of the monotonic clock. Raises any `ServiceError`."""
        if request.timeout_us:
            deadline = min(deadline, self._now() + request.timeout_us / 1e6)
        check_id("id", request.id)
        check_id("route_key", request.route_key)
        version = describe.version_number(request.version)
        chosen = self._choose(request.model, version, request.label, request.route_key or request.id)
        status = self._catalog.get(request.model, chosen)
        spec, key = describe.ready_spec(status), status.key
        wanted = plan(request.outputs)
        if wanted.layers:
            CALLER.get().require(Scope.DEBUG)
        batch = pictures(request.inputs, spec, self._about.max_batch)
        if self._now() >= deadline:
            raise TooLate("deadline: it passed before the request was queued")
        # Every class is answered, so there is nothing to rank: the logits are all that is needed.
        answers = await self._inside.classify_all(
            id=request.id,
            model=key.name,
            version=key.version,
            images=batch.images,
            options=Options(top_k=0, logits=True, pixels=batch.pixels),
            deadline=deadline,
            priority=request.priority,
            method=method,
        )
        values = dict(declared(answers, spec))
        if wanted.layers:
            values |= await self._layers.fetch(key, wanted.layers, batch, deadline)
        return InferResponse(
            model=key.name,
            version=key.version,
            id=request.id,
            outputs=tensors(wanted, values, spec),
            parameters=provenance(answers),
        )

    def status(self, model: str, version: str) -> ModelStatus:
        """The version asked for. Raises `NoSuchModel`, `NotReady` or `InvalidInput`."""
        return self._catalog.get(model, describe.version_number(version))

    def ready(self) -> bool:
        """Whether callers may come."""
        return self._ready()[0]

    def model_ready(self, model: str, version: str) -> bool:
        """Whether this version can be asked. Raises `NoSuchModel` when there is none."""
        return self.status(model, version).state == "ready"

    def server(self) -> describe.Description:
        """`ServerMetadata`."""
        return describe.server(self._about.version)

    def metadata(self, model: str, version: str) -> describe.Description:
        """`ModelMetadata`."""
        status = self.status(model, version)
        known = (each.key.version for each in self._catalog.list() if each.key.name == model and each.state == "ready")
        return describe.metadata(status, [status.key.version] if version else sorted(known))

    def config(self, model: str, version: str) -> describe.Description:
        """`ModelConfig`."""
        return describe.config(self.status(model, version), self._about.max_batch)

    def statistics(self, model: str, version: str) -> list[describe.Description]:
        """`ModelStatistics` of one version, of all that are ready of a model, or of everything for ""."""
        return [describe.statistics(key, self._statistics.of(key)) for key in self._counted(model, version)]

    def index(self, *, only_ready: bool) -> list[describe.Description]:
        """`RepositoryIndex`."""
        return describe.index(self._catalog.list(), only_ready=only_ready)

    async def load(self, model: str) -> None:
        """Load the newest stored version. Raises `NotReady` with the reason when it cannot be served."""
        status = await self._catalog.load(model, 0)
        if status.state != "ready":
            raise NotReady(f"failed to load {model!r}: {status.reason or status.state}")

    async def unload(self, model: str) -> None:
        """Unload every version, after what is in flight. Raises `NoSuchModel`."""
        await self._catalog.unload(model, 0)

    def _counted(self, model: str, version: str) -> Sequence[ModelKey]:
        if version:
            return [self.status(model, version).key]
        if model:
            self.status(model, "")
        return [
            status.key for status in self._catalog.list() if status.state == "ready" and model in ("", status.key.name)
        ]
