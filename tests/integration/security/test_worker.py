"""The one port of a worker, as guarded as those of a server."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from service.core.access import Scope
from service.security import keys
from tests.integration.distributed.conftest import deployed
from tests.integration.distributed.deployment import Deployment, until
from tests.integration.security.conftest import Pki

PUBLIC = "0.0.0.0"  # noqa: S104 - what is tested


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Nothing but a Redis yet."""
    yield from deployed(tmp_path)


def trusting(pki: Pki) -> httpx.Client:
    """Somebody who knows the authority."""
    return httpx.Client(verify=ssl.create_default_context(cafile=pki.ca), timeout=30)


def probe(url: str, **environment: str) -> tuple[int, str]:
    """Exit code and words of `vitrine health`."""
    command = [sys.executable, "-m", "service", "health", "--http", f"{url}/readyz"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_it_is_encrypted_and_asks_who_looks_at_its_status(deployment: Deployment, pki: Pki, tmp_path: Path) -> None:
    """Probes and metrics are for whoever reaches it; a renewed certificate counts without a restart."""
    key, entry = keys.new("operator", [Scope.ADMIN], {})
    (tmp_path / "keys.yaml").write_text(entry)
    files = pki.server()
    worker = deployment.worker(
        TLS_CERT=str(files.chain), TLS_KEY=str(files.key), KEYS_FILE=str(tmp_path / "keys.yaml"), HTTP=f"{PUBLIC}:0"
    )
    deployment.ready(worker)
    url = worker.address("HTTP").replace(PUBLIC, "127.0.0.1")

    assert url.startswith("https://")
    with trusting(pki) as known:
        assert known.get(f"{url}/statusz").status_code == 401
        status = known.get(f"{url}/statusz?format=json", headers={"authorization": f"Bearer {key}"})
        assert status.json()["build"]["role"] == "worker"
        before = known.get(f"{url}/metrics").text
    with pytest.raises(httpx.HTTPError):
        httpx.get(url.replace("https", "http") + "/healthz")

    assert probe(url, VITRINE_TLS=str(pki.ca)) == (0, "ready\n")
    assert probe(url)[0] == 1
    assert "vitrine_certificate_expiry" in before

    (tmp_path / "new").mkdir()
    renewed = Pki(trustme.CA(), tmp_path / "new")
    for old, new in zip((files.chain, files.key), renewed.issue("server", "127.0.0.1"), strict=True):
        new.replace(old)
    until(lambda: probe(url, VITRINE_TLS=str(renewed.ca))[0] == 0)


def test_a_public_address_is_refused_unless_somebody_watches_it(deployment: Deployment) -> None:
    """As at a server: its metrics tell names and numbers."""
    refused = deployment.worker(HTTP=f"{PUBLIC}:0")
    taken = deployment.worker(HTTP=f"{PUBLIC}:0", INSECURE="true")

    assert refused.process.wait(30) == 2
    assert refused.log.startswith("vitrine: http: a public address needs TLS")
    deployment.ready(taken)
