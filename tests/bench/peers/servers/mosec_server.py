"""mosec: raw bytes in, two worker processes."""

from __future__ import annotations

from typing import Any

from mosec import Server, Worker
from plain_model import PlainModel


class Classifier(Worker):
    def __init__(self) -> None:
        super().__init__()
        self._model = PlainModel.here()

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> list[dict[str, Any]]:
        return self._model.classify(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classifier, num=2)
    server.run()
