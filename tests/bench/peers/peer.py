"""The other servers: how each is started from its own environment, and how a picture is sent to it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers.plain_model import FOLDER
from tests.servers import free_port

_HERE = Path(__file__).parent
_PATIENCE_S = 180.0

Encode = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server: how it is started from its environment, and how a picture is sent to it."""

    name: str
    environment: str  #: folder of its virtual environment
    command: tuple[str, ...]  #: of the environment's `bin`; {port} and {folder} are filled in
    path: str
    encode: Encode
    content_type: str = "application/json"


def _raw(data: bytes) -> bytes:
    return data


def _base64(data: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(data).decode()}).encode()


def _infer(data: bytes) -> bytes:
    about = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "base64"}}
    return json.dumps({"inputs": [about | {"data": [base64.b64encode(data).decode()]}]}).encode()


PEERS = (
    Peer(
        "mosec",
        ".venv-peers",
        ("python", "mosec_server.py", "--address", "127.0.0.1", "--port", "{port}", "--timeout", "60000"),
        "/inference",
        _raw,
        "image/*",
    ),
    Peer("Ray Serve", ".venv-peers", ("python", "ray_server.py", "{port}"), "/", _raw, "image/*"),
    Peer("LitServe", ".venv-peers", ("python", "litserve_server.py", "{port}"), "/predict", _base64),
    Peer(
        "BentoML",
        ".venv-peers",
        ("bentoml", "serve", "bentoml_server:Classifier", "--host", "127.0.0.1", "--port", "{port}"),
        "/classify",
        _base64,
    ),
    Peer("MLServer", ".venv-mlserver", ("mlserver", "start", "{folder}"), "/v2/models/classifier/infer", _infer),
)


@contextlib.contextmanager
def running(peer: Peer, folder: Path, picture: bytes) -> Iterator[int]:
    """The port of the server once it classifies `picture`; it is ended with all that it has started."""
    port = free_port()
    _configure_mlserver(folder, port)
    program, *arguments = (part.format(port=port, folder=folder) for part in peer.command)
    bin_ = Path(peer.environment).resolve() / "bin"
    environment = os.environ | {
        FOLDER: str(folder),
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "PYTHONPATH": f"{_HERE}:{_HERE / 'servers'}",
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            [bin_ / program, *arguments],
            cwd=_HERE / "servers",
            env=environment,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
        try:
            _wait_until_it_answers(peer, port, picture, process)
            yield port
        except Exception:
            told.seek(0)
            sys.stderr.write(told.read().decode(errors="replace"))
            raise
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _configure_mlserver(folder: Path, port: int) -> None:
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 2} | ports))
    model = {"name": "classifier", "implementation": "mlserver_model.Classifier"}
    (folder / "model-settings.json").write_text(json.dumps(model))


def _wait_until_it_answers(peer: Peer, port: int, picture: bytes, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", peer.path, peer.encode(picture), {"Content-Type": peer.content_type})
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{peer.name} does not answer")
