"""MLServer: base64 within the JSON of its protocol, two worker processes."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from plain_model import PlainModel


class Classifier(MLModel):
    async def load(self) -> bool:
        self._model = PlainModel.here()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (data,) = Base64Codec.decode_input(payload.inputs[0])
        found = self._model.classify(data)
        best = NumpyCodec.encode_output("index", np.array([[each["index"] for each in found]]))
        scores = NumpyCodec.encode_output("score", np.array([[each["score"] for each in found]]))
        return InferenceResponse(model_name=self.name, outputs=[best, scores])
