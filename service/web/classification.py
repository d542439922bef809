"""The HTTP twin of `vitrine.v1.Models` and `vitrine.v1.Classifier`, for a look at what is served."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.core.messages import Options
from service.core.routing import unrouted
from service.core.use_cases import Choose, Classifying, ModelCatalog
from service.rpc.classifier import MAX_ID_CHARS, MAX_TOP_K, from_answer
from service.rpc.models import from_status
from service.web.answers import as_json, of_message
from service.web.bodies import body_of
from service.web.operations import MODEL, Operation
from service.web.queries import Query

TIMEOUT_S = 30.0


class ClassifyQuery(Query):
    """Which classes are answered."""

    top_k: int = Field(5, ge=1, le=MAX_TOP_K, description="how many classes, best first")
    min_score: float = Field(0.0, ge=0, le=1, description="leave out classes that score below this")
    logits: bool = Field(False, description="also the network's raw outputs")  # noqa: FBT003
    label: str = Field("", description="a name of a version, in place of its number: stable, canary")
    route_key: str = Field("", max_length=MAX_ID_CHARS, description="the same key gets the same version of a split")


class ClassificationTwin:
    """Models and their answers."""

    def __init__(
        self, inside: Classifying, catalog: ModelCatalog, max_image_bytes: int, choose: Choose = unrouted
    ) -> None:
        self._inside = inside
        self._choose = choose
        self._catalog = catalog
        self._max_image_bytes = max_image_bytes

    def operations(self) -> Sequence[Operation]:
        """What can be asked."""
        model = {"model": MODEL}
        return (
            Operation("GET", "/v1/models", "listModels", "Every version of every model", self.list),
            Operation("GET", "/v1/models/{model}", "getModel", "One version of a model", self.get, places=model),
            Operation(
                "POST", "/v1/models/{model}/classify", "classify", "Classify a picture", self.classify, ClassifyQuery,
                places=model, takes_picture=True,
            ),
        )  # fmt: skip

    async def list(self, _request: Request) -> Response:
        """Every version that is stored or served."""
        return JSONResponse({"models": [as_json(from_status(status)) for status in self._catalog.list()]})

    async def get(self, request: Request) -> Response:
        """One version, by default the latest ready one."""
        return of_message(from_status(self._catalog.get(request.path_params["model"], Query.of(request).version)))

    async def classify(self, request: Request) -> Response:
        """The same queue, the same lanes."""
        query = ClassifyQuery.of(request)
        model = request.path_params["model"]
        version = self._choose(model, query.version, query.label, query.route_key)
        answer = await self._inside.classify(
            id=uuid.uuid4().hex,
            model=model,
            version=version,
            image=await body_of(request, self._max_image_bytes),
            options=Options(query.top_k, query.min_score, query.logits),
            deadline=time.monotonic() + TIMEOUT_S,
            method="http",
        )
        return of_message(from_answer(answer))
