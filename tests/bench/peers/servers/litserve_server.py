"""LitServe: JSON with base64 in, two worker processes. Usage: litserve_server.py PORT."""

from __future__ import annotations

import base64
import sys
from typing import Any

import litserve
from plain_model import PlainModel


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's
        self._model = PlainModel.here()

    def decode_request(self, request: dict[str, str]) -> bytes:
        return base64.b64decode(request["image"])

    def predict(self, data: bytes) -> list[dict[str, Any]]:
        return self._model.classify(data)

    def encode_response(self, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
