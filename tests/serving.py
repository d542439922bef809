"""`vitrine serve` as a process, over a folder of models that a test may change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.client import Retry

ZOO = Path(__file__).parents[1] / "model" / "zoo"
#: Nothing is measured at load, so that every start is quick and computes the same way.
FIXED = {"PROVIDERS": "cpu", "LANES": "2", "INTRA_OP_THREADS": "1", "BATCH": "4", "POLL_S": "0.05"}
PATIENT = Retry(budget_s=60)


@dataclass(frozen=True)
class Serving:
    """A server that answers, and the folder it follows."""

    process: subprocess.Popen[str]
    grpc: str
    http: str
    models: Path
    log: list[str]

    def publish(self, name: str, version: int) -> Path:
        """Put the shipped version 1 of `name` there as `version`, by one rename, as publishing does."""
        hidden = self.models / f".{name}-{version}"
        shutil.copytree(ZOO / name / "1", hidden)
        (self.models / name).mkdir(exist_ok=True)
        return hidden.rename(self.models / name / str(version))


@contextmanager
def starter(folder: Path) -> Iterator[Callable[..., Serving]]:
    """Starts servers over the named models, with VITRINE_* settings; they are ended with the block."""
    started: list[subprocess.Popen[str]] = []

    def start(*names: str, **settings: str) -> Serving:
        models = folder / "models"
        for name in names:
            shutil.copytree(ZOO / name / "1", models / name / "1")
        variables = {"GRPC": "127.0.0.1:0", "HTTP": "127.0.0.1:0", "MODELS": str(models), **FIXED, **settings}
        environment = os.environ | {f"VITRINE_{name}": value for name, value in variables.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout
        grpc, http = (process.stdout.readline().split()[1] for _ in range(2))
        log: list[str] = []
        threading.Thread(target=_collect, args=(process, log), daemon=True).start()
        verify = "TLS_CERT" not in settings
        while httpx.get(f"{http}/readyz", verify=verify, timeout=60).status_code != httpx.codes.OK:
            assert process.poll() is None
            time.sleep(0.02)
        return Serving(process, grpc, http, models, log)

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream
                stream.close()


def _collect(process: subprocess.Popen[str], log: list[str]) -> None:
    assert process.stderr
    try:
        log.extend(process.stderr)
    except ValueError:  # the stream was closed under us, after the end of the test
        return
