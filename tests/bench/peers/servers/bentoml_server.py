"""BentoML: JSON with base64 in, two worker processes."""

from __future__ import annotations

import base64
from typing import Any

import bentoml
from plain_model import PlainModel


@bentoml.service(workers=2)
class Classifier:
    def __init__(self) -> None:
        self._model = PlainModel.here()

    @bentoml.api
    def classify(self, image: str) -> dict[str, Any]:
        return {"predictions": self._model.classify(base64.b64decode(image))}
