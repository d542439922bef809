"""The blocking SDK: the same client without an event loop."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import AsyncClient, Client, Image
from service.client.examination import AsyncExamination
from service.client.introspection import AsyncIntrospection
from service.core.errors import BadImage
from tests.fake_server import Running


def parameters(client: type, method: str) -> list[tuple[str, object]]:
    """Names and defaults."""
    return [(each.name, each.default) for each in inspect.signature(getattr(client, method)).parameters.values()]


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def test_a_folder_takes_a_few_lines(client: Client, server: Running, tmp_path: Path) -> None:
    """What the README shows: every file once, failures beside answers."""
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    server.inside.failures[b"b"] = BadImage("image", "a picture", "text")

    found = {
        Path(str(result.image)).name: result.answer.predictions[0].label if result.answer else str(result.error)
        for result in client.classify_many(tmp_path.glob("*.png"), model="digits")
    }

    assert found == {"a.png": "zero", "b.png": "image: a picture, got text", "c.png": "zero"}


def test_errors_are_raised_in_the_caller_s_thread(client: Client, server: Running) -> None:
    """As with the async client."""
    server.inside.failures[b"text"] = BadImage("image", "a picture", "text")
    with pytest.raises(BadImage):
        client.classify(b"text", model="digits")


def test_leaving_early_stops_the_work(client: Client) -> None:
    """Breaking out of the results ends the pictures in flight, and the client is still good."""

    def endless() -> Iterator[Image]:
        while True:
            yield b"picture"

    for result in client.classify_many(endless(), model="digits", concurrency=2):
        assert result.answer is not None
        break

    assert client.classify(b"picture", model="digits").predictions[0].label == "zero"


def test_threads_share_one_client(client: Client) -> None:
    """Each gets its own answer."""
    ids: list[str] = []

    def ask(name: str) -> None:
        ids.append(client.classify(b"picture", model="digits", id=name).id)

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ids) == [str(n) for n in range(8)]


def test_models_are_told_loaded_and_unloaded(client: Client) -> None:
    """The whole of `Models`, blocking."""
    client.unload("digits")
    states = {model.name: model.state for model in client.models()}

    assert states == {"digits": "available", "fashion": "failed"}
    assert client.load("digits").state == "ready"
    assert client.model("digits").version == 3


def test_both_clients_take_the_same_arguments() -> None:
    """Of their constructors, and of every method but those of `jobs`."""
    methods = {name for name in vars(AsyncClient) | vars(AsyncIntrospection) | vars(AsyncExamination) if name[0] != "_"}
    shared = methods - {"jobs"} | {"__init__"}

    assert [name for name in shared if not hasattr(Client, name)] == []
    assert [name for name in shared if parameters(Client, name) != parameters(AsyncClient, name)] == []


def test_closing_twice_is_fine(server: Running) -> None:
    """And ends the client's thread."""
    client = Client(server.address)
    client.close()
    client.close()

    assert "vitrine client" not in [thread.name for thread in threading.enumerate()]


def test_the_sdk_is_light() -> None:
    """It brings in no engine, no server, no training."""
    code = "import sys, service.client; print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not [name for name in ("onnxruntime", "torch", "starlette", "prometheus_client") if f"'{name}'" in loaded]
    assert not [name for name in ("api", "engine", "dispatch", "worker", "web") if f"'service.{name}'" in loaded]
