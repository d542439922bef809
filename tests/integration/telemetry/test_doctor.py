"""`vitrine doctor` as an operator runs it, before anything serves."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from service.core.access import Scope
from service.security import keys
from tests.integration.distributed.deployment import Deployment, until
from tests.servers import free_port
from tests.serving import ZOO, Serving


def doctor(*options: str) -> tuple[int, str]:
    """Its exit code, and what it printed."""
    command = [sys.executable, "-m", "service", "doctor", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"})
    return done.returncode, done.stdout + done.stderr


def test_a_sound_deployment_has_no_errors() -> None:
    """Providers, models with their digests, ports and disk are named one by one."""
    code, said = doctor("--models", str(ZOO))

    assert code == 0, said
    assert "ok      runtime: onnxruntime" in said
    assert "ok      model guide:1: digest" in said
    assert "ok      port grpc: 127.0.0.1:0 is free" in said


def test_a_changed_model_is_an_error(tmp_path: Path) -> None:
    """Its digest is not that of its manifest."""
    shutil.copytree(ZOO / "guide", tmp_path / "guide")
    with (tmp_path / "guide/1/model.onnx").open("ab") as file:
        file.write(b"!")
    code, said = doctor("--models", str(tmp_path))

    assert code == 1
    assert "error   model guide:1: " in said
    assert "-> publish it anew" in said


def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    """And an empty folder of models is another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = doctor("--models", str(tmp_path), "--http", address)

    assert code == 1
    assert f"error   port http: {address}: Address already in use" in said
    assert "holds no NAME/VERSION/model.onnx" in said


def test_certificates_are_told_by_their_expiry(tmp_path: Path) -> None:
    """One that is out of date is an error, one that soon will be a warning."""
    authority = trustme.CA()
    for name, days in (("old", -1), ("soon", 7)):
        issued = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=days))
        issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    told = {name: tls(tmp_path / f"{name}.pem") for name in ("old", "soon")}

    assert told["old"][0] == 1
    assert "error   certificate " in told["old"][1]
    assert told["soon"][0] == 0
    assert "warning certificate " in told["soon"][1]


def tls(file: Path) -> tuple[int, str]:
    return doctor("--models", str(ZOO), "--tls-cert", str(file), "--tls-key", str(file))


def test_a_redis_that_would_lose_work_is_an_error(deployment: Deployment) -> None:
    """With the line of redis.conf that mends it; a sound one is told with its clock."""
    sound, heard = doctor("--redis", deployment.redis.url)
    with deployment.redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    code, said = doctor("--redis", deployment.redis.url)

    assert sound == 0, heard
    assert "ok      clock: " in heard
    assert code == 1
    assert "maxmemory-policy noeviction" in said


def test_a_server_is_asked_as_its_clients_ask_it(
    serve: Callable[..., Serving], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TLS and with a key; what it serves is told, and what it cannot; without TLS or key, what is missing."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    key, entry = keys.new("operator", [Scope.INFER], {})
    files = {f"TLS_{name}": str(tmp_path / "server.pem") for name in ("CERT", "KEY")}
    serving = serve("guide", KEYS=entry, **files)
    (serving.publish("guide", 2) / "model.onnx").write_bytes(b"broken")
    command = ("--models", str(ZOO), "--server", serving.grpc)

    plain = doctor(*command)
    monkeypatch.setenv("VITRINE_TLS", str(tmp_path / "ca.pem"))
    nobody = doctor(*command)
    monkeypatch.setenv("VITRINE_API_KEY", key)
    until(lambda: "FAILED" in httpx.get(f"{serving.http}/", verify=False).text.upper())  # noqa: S501 - it is loopback
    known = doctor(*command)

    assert [code for code, _ in (plain, nobody, known)] == [1, 1, 1]
    assert "UNAVAILABLE" in plain[1]
    assert "VITRINE_TLS must name whom to trust" in plain[1]
    assert f"ok      server {serving.grpc}: SERVING" in nobody[1]
    assert "-> VITRINE_API_KEY: a key with the scope infer" in nobody[1]
    assert f"ok      server {serving.grpc} models: ready: guide:1" in known[1]
    assert f"error   server {serving.grpc} model guide:2: " in known[1]
    assert "but the manifest says" in known[1]


def test_a_server_that_is_not_there_is_an_error() -> None:
    """It is asked as a balancer would ask it."""
    code, said = doctor("--models", str(ZOO), "--server", f"127.0.0.1:{free_port()}")

    assert code == 1
    assert "UNAVAILABLE" in said
