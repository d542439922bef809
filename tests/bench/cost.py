"""What one picture costs each process of a deployment: CPU time, and bytes of Redis' network and disk.

Front-end, worker and Redis are the real commands; part of `tests.bench.distributed`.
"""

from __future__ import annotations

import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.load import Load, Method
from tests.bench.serving import Served, drive, serve, work
from tests.bench.usage import cpu_s, family, of_redis
from tests.servers import RedisServer

#: How the front-end is called: how many calls are open, and for how many seconds before anything is measured.
OPEN: dict[Method, int] = {"unary": 32, "batch": 4}
WARM_S = 1.5


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one picture: milliseconds of CPU of each process, and bytes that Redis received, sent and wrote down."""

    model: str
    method: Method
    durable: bool  #: whether Redis has the append-only file that production has
    picture_bytes: int
    per_second: float
    front_end_ms: float
    worker_ms: float
    redis_ms: float
    redis_in_bytes: float
    redis_out_bytes: float
    redis_disk_bytes: float


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment that runs."""

    front_end: Served
    worker: psutil.Process
    redis: RedisServer

    def sums(self) -> dict[str, float]:
        """Pictures, and what `Cost` is about, since the start."""
        with self.redis.client() as client:
            stats, persistence = client.info("stats"), client.info("persistence")
        return {
            "pictures": self._pictures(),
            "front_end_ms": 1000 * cpu_s(*family(self.front_end.process)),
            "worker_ms": 1000 * cpu_s(*family(self.worker)),
            "redis_ms": 1000 * cpu_s(of_redis(self.redis)),
            "redis_in_bytes": stats["total_net_input_bytes"],
            "redis_out_bytes": stats["total_net_output_bytes"],
            "redis_disk_bytes": persistence.get("aof_current_size", 0),  # not told where there is no such file
        }

    def _pictures(self) -> float:
        with urllib.request.urlopen(f"http://{self.front_end.http}/metrics", timeout=10) as reply:
            families = text_string_to_metric_families(reply.read().decode())
        (requests,) = [family_ for family_ in families if family_.name == "vitrine_requests"]
        return sum(sample.value for sample in requests.samples if sample.name == "vitrine_requests_total")


def costs(redis: RedisServer, models: Path, model: str, picture: Path, seconds: float, **settings: str) -> list[Cost]:
    """Of a `picture` for `model`, in each way to call it, each measured for `seconds`."""
    with (
        work(models, redis.url, model=model, **settings) as worker,
        serve(models, redis=redis.url, introspection="false") as front_end,
    ):
        deployed = Deployed(front_end, worker, redis)
        return [_cost(deployed, model, method, picture, seconds) for method in OPEN]


def _cost(deployed: Deployed, model: str, method: Method, picture: Path, seconds: float) -> Cost:
    # A second longer than what is measured: it ends after that.
    load = Load(deployed.front_end.grpc, model, str(picture), OPEN[method], seconds + 1, method, WARM_S)
    with ThreadPoolExecutor(1) as pool:
        before = deployed.sums()["pictures"]
        run = pool.submit(drive, load)
        while deployed.sums()["pictures"] == before:
            time.sleep(0.05)
        time.sleep(WARM_S)
        first, started = deployed.sums(), time.perf_counter()
        time.sleep(seconds)
        last, took_s = deployed.sums(), time.perf_counter() - started
        assert run.result().failed == 0
    pictures = last.pop("pictures") - first["pictures"]
    each = {name: (total - first[name]) / pictures for name, total in last.items()}
    return Cost(model, method, deployed.redis.durable, picture.stat().st_size, pictures / took_s, **each)
