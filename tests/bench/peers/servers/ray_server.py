"""Ray Serve: raw bytes in, two replicas. Usage: ray_server.py PORT."""

from __future__ import annotations

import signal
import sys
from typing import Any

import ray
from plain_model import PlainModel
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=2, max_ongoing_requests=100, logging_config={"enable_access_log": False})
class Classifier:
    def __init__(self) -> None:
        self._model = PlainModel.here()

    async def __call__(self, request: Request) -> list[dict[str, Any]]:
        return self._model.classify(await request.body())


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Classifier.bind())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
