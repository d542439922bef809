"""The protocol over HTTP as curl speaks it, and its mistakes."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import httpx
import pytest

from tests.integration.oip.conftest import DIGITS

INFER = "/v2/models/digits/infer"


def one(**changes: Any) -> dict[str, Any]:
    """A request for one black picture."""
    image = {"name": "image", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784, **changes}
    return {"id": "ours", "inputs": [image]}


def test_plain_json(http: httpx.Client) -> None:
    """What everybody can send, and read."""
    answer = http.post(INFER, json=one())

    assert answer.headers["content-type"] == "application/json"
    assert {key: answer.json()[key] for key in ("id", "model_name", "model_version")} == {
        "id": "ours",
        "model_name": "digits",
        "model_version": "1",
    }
    logits, scores = answer.json()["outputs"]
    assert (logits["name"], logits["datatype"], logits["shape"], len(logits["data"])) == ("logits", "FP32", [1, 10], 10)
    assert sum(scores["data"]) == pytest.approx(1.0, abs=1e-5)


def test_nested_lists(http: httpx.Client) -> None:
    """Rows within rows mean the same as one long list."""
    nested = [[[[0] for _ in range(28)] for _ in range(28)]]

    assert http.post(INFER, json=one(data=nested)).json()["outputs"] == http.post(INFER, json=one()).json()["outputs"]


def test_a_picture_in_json(http: httpx.Client) -> None:
    """JSON has no bytes, so a file comes in base64, as `content_type` says; its label comes back."""
    picture = base64.b64encode((DIGITS / "7.png").read_bytes()).decode()
    asked = one(datatype="BYTES", shape=[1], data=[picture], parameters={"content_type": "base64"})
    asked["outputs"] = [{"name": "scores", "parameters": {"classification": 1}}]
    (output,) = http.post(INFER, json=asked).json()["outputs"]

    assert (output["datatype"], output["shape"]) == ("BYTES", [1, 1])
    assert output["data"][0].split(":", 2)[1:] == ["7", "7"]


def test_a_version_in_the_path(http: httpx.Client) -> None:
    """Everything about a model can be asked of one version."""
    paths = ("", "/ready", "/config", "/stats")

    assert [http.get(f"/v2/models/digits/versions/1{path}").status_code for path in paths] == [200] * 4
    assert http.post("/v2/models/digits/versions/1/infer", json=one()).status_code == 200
    assert http.get("/v2/models/digits/versions/2").status_code == 404


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([], "body: must be a JSON object, got list"),
        ({"inputs": {}}, "inputs: a list of JSON objects, got dict"),
        (one(shape="1"), "inputs[0].shape: a list of whole numbers, got '1'"),
        (one(shape=[1, 28, 28, True]), "inputs[0].shape: a list of whole numbers"),
        (one(data=[0] * 783), "inputs.image: 784 elements for shape [1, 28, 28, 1], got 783"),
        (one(data=["0"] * 784), "inputs.image: numbers for UINT8, got something else"),
        (one(data=[0.5] * 784), "inputs.image: whole numbers of 0 to 255 for UINT8"),
        (one(data=None), "inputs[0].data: a list, nested at most 8 deep, or binary_data_size"),
        (one(parameters={"binary_data_size": 5}), "inputs[0].data: must not be specified together"),
        (one(datatype="BYTES", shape=[1], data=[7]), "inputs[0].data: text for BYTES"),
        (one(datatype="BYTES", shape=[1], data=["?"], parameters={"content_type": "base64"}), "inputs[0].data: base64"),
        ({**one(), "parameters": {"binary_data_output": 1}}, "parameters.binary_data_output: true or false, got 1"),
        ({**one(), "id": 7}, "id: text, got 7"),
    ],
)  # fmt: skip
def test_mistakes_are_told(http: httpx.Client, asked: Any, message: str) -> None:
    """As the protocol has it: 400, and the message under `error`."""
    answer = http.post(INFER, json=asked)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)


@pytest.mark.parametrize(
    ("length", "tail", "message"),
    [
        ("x", b"", "inference-header-content-length: a number of bytes of the body"),
        ("99999", b"", "inference-header-content-length: a number of bytes of the body"),
        ("9" * 5000, b"", "inference-header-content-length: a number of bytes of the body"),
        (None, bytes(783), "inputs[0].binary_data_size: 0 to 783, the bytes behind the JSON, got 784"),
        (None, bytes(785), "body: 784 bytes behind the JSON, as the inputs say, got 785"),
    ],
)
def test_bytes_behind_the_json_are_counted(http: httpx.Client, length: str | None, tail: bytes, message: str) -> None:
    """Neither too few nor too many."""
    asked = one(parameters={"binary_data_size": 784})
    del asked["inputs"][0]["data"]
    head = json.dumps(asked).encode()
    header = {"inference-header-content-length": length or str(len(head))}
    answer = http.post(INFER, content=head + tail, headers=header)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (bytes(1_000_001), "identity", 413),
        (gzip.compress(bytes(100_000_000), 1), "gzip", 413),
        (gzip.compress(b"{}")[:-5], "gzip", 400),
        (b"no gzip", "gzip", 400),
        (b"{}", "br", 415),
    ],
    ids=["too long", "a bomb", "cut off", "no gzip", "unknown"],
)
def test_bodies_are_bounded(http: httpx.Client, body: bytes, coding: str, status: int) -> None:
    """By their size after unpacking, of which no more is unpacked than may be kept."""
    answer = http.post(INFER, content=body, headers={"content-encoding": coding})

    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)


def test_what_is_not_offered_says_so(http: httpx.Client) -> None:
    """Triton's other extensions."""
    paths = ("/v2/cudasharedmemory/status", "/v2/trace/setting", "/v2/logging/x")

    assert [http.get(path).status_code for path in paths] == [501] * 3


def test_only_what_is_ready_is_listed(http: httpx.Client) -> None:
    """When that is asked for."""
    index = http.post("/v2/repository/index", json={"ready": True}).json()

    assert [(model["name"], model["version"], model["state"]) for model in index] == [
        ("digits", "1", "READY"),
        ("guide", "1", "READY"),
    ]


def test_it_is_described(http: httpx.Client) -> None:
    """With everything else on this port."""
    paths = http.get("/openapi.json").json()["paths"]

    assert {"/v2", INFER.replace("digits", "{model}"), "/v2/models/{model}/versions/{version}/stats"} <= paths.keys()
