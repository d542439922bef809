"""`tritonclient[grpc]`, unchanged, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.oip.conftest import DIGITS, Facts
from tests.serving import Serving

EXTENSIONS = [
    "classification",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
]


@pytest.fixture(scope="module")
def facts(client: Callable[..., Facts], serving: Serving) -> Facts:
    # Mean and standard deviation of MNIST, by which the model normalises.
    return client("triton_grpc.py", serving.grpc, str(DIGITS), "0.1307", "0.3081")


def test_health(facts: Facts) -> None:
    """The server is live and ready, and so is version 1 of the model."""
    assert facts["health"] == [True, True, True]


def test_metadata(facts: Facts) -> None:
    """Shapes carry the batch axis, only what is implemented is advertised, and no layer is declared."""
    server, model = facts["metadata"]

    assert (server["name"], server["extensions"]) == ("vitrine", EXTENSIONS)
    assert model["versions"] == ["1"]
    assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": ["-1", "28", "28", "1"]}]
    assert model["outputs"] == [
        {"name": "logits", "datatype": "FP32", "shape": ["-1", "10"]},
        {"name": "scores", "datatype": "FP32", "shape": ["-1", "10"]},
    ]


def test_configuration(facts: Facts) -> None:
    """Dims are without the batch axis, which `max_batch_size` tells; the instances are the lanes."""
    config = facts["config"]

    assert config["max_batch_size"] == 8
    assert config["input"][0]["dims"] == ["28", "28", "1"]
    assert [output["dims"] for output in config["output"]] == [["10"], ["10"]]
    assert config["instance_group"] == [{"name": "cpu fp32", "count": 2, "kind": "KIND_CPU"}]
    assert config["dynamic_batching"]["preferred_batch_size"] == [4]


def test_a_batch_of_pixels(facts: Facts) -> None:
    """One request, one row for each picture; id and version come back."""
    assert facts["raw"] == [["ours", "digits", "1"], [2, 10], [1.0, 1.0]]


def test_pixels_in_every_form_give_the_same_logits(facts: Facts) -> None:
    """Floats of 0 to 255, and those that a PyTorch pipeline has normalised, stand for the same pixels exactly."""
    assert facts["one_way_or_another"] == [True, True]


def test_classification_of_encoded_pictures(facts: Facts) -> None:
    """The files of a zero, a one and a two: index and label of the two best classes."""
    assert [row[0] for row in facts["classification"]] == [["0", "0"], ["1", "1"], ["2", "2"]]
    assert [len(row) for row in facts["classification"]] == [2, 2, 2]


def test_a_layer_by_its_name(facts: Facts) -> None:
    """What a ReLU gave for each of three pictures, though no layer is declared."""
    assert facts["layers"] == [[3, 16, 28, 28], True]


def test_asynchronous_requests(facts: Facts) -> None:
    """By callbacks and by asyncio."""
    assert facts["asynchronous"] == ["0", "1", "2", "3"]
    assert facts["with_asyncio"] == ["aio", [2, 10]]


def test_a_stream_keeps_the_order_and_survives_a_failure(facts: Facts) -> None:
    """The third request fails in its place; those after it are answered."""
    assert [facts["streaming"][i] for i in (0, 1, 3, 4)] == ["0", "1", "3", "4"]
    assert facts["streaming"][2].startswith("model: no model is called 'nothing'")


def test_every_response_of_a_stream_is_final(facts: Facts) -> None:
    """Models here answer once, which clients of decoupled models must be told."""
    assert facts["finality"] is True


def test_statistics_add_up(facts: Facts) -> None:
    """A request of two pictures is two inferences, and one everywhere else."""
    assert facts["statistics"] == [2, 1, 1, 1, 1, 1]


def test_models_are_unloaded_and_loaded(facts: Facts) -> None:
    """In between the model is there, and not ready."""
    assert facts["repository"] == [False, "UNAVAILABLE", "StatusCode.UNAVAILABLE", True, "READY"]


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ("model", "NOT_FOUND", "model: no model is called 'nothing'; there are digits, guide"),
        ("version", "NOT_FOUND", "model: 'digits' has no version 9; there are 1"),
        (
            "no number",
            "INVALID_ARGUMENT",
            "model_version: a decimal number from 1, or nothing for the latest, got 'v1'",
        ),
        ("input", "INVALID_ARGUMENT", "inputs: the one input 'image', got ['pixels']"),
        ("classes", "INVALID_ARGUMENT", "outputs.scores.classification: a whole number from 0, got -1"),
        ("shared memory", "UNIMPLEMENTED", "SystemSharedMemoryStatus: shared memory is not offered"),
        ("trace", "UNIMPLEMENTED", "TraceSetting: traces are set up where the server is started"),
        ("log", "UNIMPLEMENTED", "LogSettings: logs are set up where the server is started"),
        ("output", "INVALID_ARGUMENT", "outputs: a declared output or a layer, got layer: none is called 'nothing'"),
        ("ready", "NOT_FOUND", "model: no model is called 'nothing'"),
        ("timeout", "DEADLINE_EXCEEDED", "deadline: it passed before the request was queued"),
    ],
)
def test_mistakes_are_told(facts: Facts, asked: str, status: str, message: str) -> None:
    """By the status that clients expect, in words that name field and value."""
    told, text = facts["refusals"][asked]

    assert told == f"StatusCode.{status}"
    assert text.startswith(message)


def test_compressed_requests(facts: Facts) -> None:
    """By gzip."""
    assert facts["compressed"] == [2, 10]
