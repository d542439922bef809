"""Looking into real networks with nothing but HTTP."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from service.core.errors import Overloaded, Reason
from service.introspect.desk import Desk
from service.telemetry.metrics import Metrics
from service.web.app import create_app
from service.web.classification import ClassificationTwin
from service.web.introspection import IntrospectionTwin
from service.web.server import HttpServer
from tests import glass
from tests.fakes import DIGEST, FakeCatalog, FakeClassifier

pytestmark = pytest.mark.train

MAX_BYTES = 5000


@pytest.fixture
async def http(catalog: FakeCatalog, inside: FakeClassifier) -> AsyncIterator[httpx.AsyncClient]:
    desk = Desk(threads=1)
    twins = (ClassificationTwin(inside, catalog, MAX_BYTES), IntrospectionTwin(glass.introspector(), desk, MAX_BYTES))
    operations = [operation for twin in twins for operation in twin.operations()]
    server = HttpServer(
        create_app("1.2.3", catalog, catalog.ready, Metrics("1.2.3").render, operations), "127.0.0.1", 0
    )
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client
    await server.stop(1)
    desk.close()


async def kept(http: httpx.AsyncClient, image: bytes) -> str:
    answer = await http.post("/v1/images", content=image)
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def nine(http: httpx.AsyncClient) -> str:
    return await kept(http, glass.guide_picture())


async def test_one_upload_serves_every_form(http: httpx.AsyncClient) -> None:
    """The guide's maps as a NumPy file, as bytes, as a picture and as facts."""
    address, asked = "/v1/models/guide/features/conv", {"image": await nine(http)}

    npy = await http.get(f"{address}.npy", params=asked)
    raw = await http.get(f"{address}.bin", params=asked)
    png = await http.get(f"{address}.png", params={**asked, "min_side": 32})
    facts = (await http.get(f"{address}.json", params={**asked, "per_channel": True})).json()

    assert np.load(io.BytesIO(npy.content)).tolist() == [[[[19, 25], [37, 43]]]]
    assert np.frombuffer(raw.content, "<f4").tolist() == [19, 25, 37, 43]
    assert (raw.headers["vitrine-shape"], raw.headers["vitrine-dtype"]) == ("1,2,2", "float32")
    with Image.open(io.BytesIO(png.content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (32, 32))
    assert (png.headers["content-type"], png.headers["vitrine-colormap"]) == ("image/png", "viridis")
    assert facts["header"]["pictures"][0]["predictions"][0]["label"] == "d"
    assert facts["layer"]["layer"]["class_name"] == "Conv2d"
    assert facts["layer"]["per_channel"][0]["max"] == 43
    assert facts["end"]["parity"]["max_logit_difference"] <= 1e-4


async def test_bytes_say_how_they_are_read(http: httpx.AsyncClient) -> None:
    """Value = offset + scale * byte, for the two strongest channels."""
    image = await kept(http, glass.picture())
    asked: dict[str, str | int] = {"image": image, "top_k": 2, "key": "l2", "encoding": "uint8"}
    raw = await http.get("/v1/models/residual/features/conv1.bin", params=asked)
    exact = np.load(io.BytesIO((await http.get(f"/v1/models/residual/features/conv1.npy?image={image}")).content))[0]

    channels = [int(index) for index in raw.headers["vitrine-channels"].split(",")]
    shape = [int(size) for size in raw.headers["vitrine-shape"].split(",")]
    scale, offset = float(raw.headers["vitrine-scale"]), float(raw.headers["vitrine-offset"])
    values = offset + scale * np.frombuffer(raw.content, np.uint8).reshape(shape)
    assert channels == np.argsort(-(exact.astype(np.float64) ** 2).sum((1, 2)))[:2].tolist()
    assert np.abs(values - exact[channels]).max() <= scale * 0.501


async def test_layers_are_the_messages_of_grpc(http: httpx.AsyncClient) -> None:
    """With the same names, in JSON."""
    listing = (await http.get("/v1/models/sided/layers", params={"include": "sided,leaky"})).json()

    assert [layer["id"] for layer in listing["layers"]] == ["sided", "leaky"]
    assert listing["layers"][0]["window"]["pads"] == [0, 1, 2, 3]
    assert listing["layers"][0]["folded_into"] == "leaky"
    assert listing["digest"] == glass.subject("sided").source.digest


async def test_a_unit_is_explained(http: httpx.AsyncClient) -> None:
    """The last of the guide's four dot products."""
    asked: dict[str, str | int] = {"image": await nine(http), "layer": "conv", "y": 1, "x": 1}
    unit = (await http.get("/v1/models/guide/explain", params=asked)).json()

    assert unit["conv"]["patches"][0]["products"] == [0, 5, 14, 24]
    assert (unit["value"], unit["residual"]) == (43, 0)


async def test_evidence_is_a_picture_numbers_or_facts(http: httpx.AsyncClient) -> None:
    """HiResCAM of the guide's third label: its own unit, and nothing else."""
    address, asked = "/v1/models/guide/attribute", {"image": await nine(http), "target": "c"}

    npy = await http.get(f"{address}.npy", params=asked)
    png = await http.get(f"{address}.png", params={**asked, "min_side": 90, "legend": False})
    facts = (await http.get(f"{address}.json", params={**asked, "check": True})).json()
    versus = (await http.get(f"{address}.json", params={**asked, "versus": "0"})).json()

    assert np.load(io.BytesIO(npy.content)).tolist() == [[0, 0], [37, 0]]
    with Image.open(io.BytesIO(png.content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (90, 90))
    assert facts["header"]["method"] == "ATTRIBUTION_METHOD_HIRES_CAM"
    assert (facts["result"]["score"], facts["result"]["bias"], facts["result"]["residual"]) == (37, 0, 0)
    assert len(facts["result"]["faithfulness"]["controls"]) == 3
    assert versus["header"]["labels"] == ["c", "a"]
    assert (await http.get(f"{address}.gif", params=asked)).status_code == 400
    again = await http.get(f"{address}.npy", params=asked, headers={"if-none-match": npy.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["features/conv.png", "features/conv.json", "explain?layer=conv", "layers"])
async def test_answers_are_not_computed_twice(http: httpx.AsyncClient, path: str) -> None:
    """Whoever has an answer is told that it still holds; named by the model's digest, it holds for ever."""
    digest = glass.subject("guide").source.digest
    asked = {} if path == "layers" else {"image": await nine(http)}
    address = httpx.URL(f"/v1/models/guide/{path}").copy_merge_params(asked)

    first = await http.get(address)
    again = await http.get(address, headers={"if-none-match": first.headers["etag"]})
    pinned = await http.get(address.copy_add_param("digest", digest))
    wrong = await http.get(address.copy_add_param("digest", "0" * 64))

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "private, no-cache"
    assert pinned.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert pinned.headers["etag"] != first.headers["etag"]
    assert wrong.status_code == 412
    assert digest in wrong.json()["error"]["message"]


async def test_another_question_has_another_tag(http: httpx.AsyncClient) -> None:
    """By picture, by parameter, by layer."""
    image, other = await nine(http), await kept(http, glass.png(np.zeros((3, 3), np.uint8)))
    addresses = [
        f"conv.png?image={image}",
        f"conv.png?image={other}",
        f"conv.png?image={image}&colormap=gray",
        f"conv.npy?image={image}",
        f"flatten.png?image={image}",
    ]
    tags = {(await http.get(f"/v1/models/guide/features/{each}")).headers["etag"] for each in addresses}

    assert len(tags) == len(addresses)


UNKNOWN = "0" * 64


@pytest.mark.parametrize(
    ("path", "status", "word", "message"),
    [
        (f"residual/features/cnv1.png?image={UNKNOWN}", 404, "NOT_FOUND", "nearest are conv1, conv2"),
        (f"cats/features/conv.png?image={UNKNOWN}", 404, "NOT_FOUND", "no model is called 'cats'"),
        (f"guide/features/conv.png?image={UNKNOWN}", 404, "NOT_FOUND", "picture.id: no picture '00"),
        ("guide/features/conv.png", 400, "INVALID", "image: Field required"),
        (f"guide/features/conv.gif?image={UNKNOWN}", 400, "INVALID", "form: one of png, npy, bin, json, got 'gif'"),
        (f"guide/features/*.png?image={UNKNOWN}", 400, "INVALID", "layer: the id of one layer"),
        (f"guide/features/conv.png?image={UNKNOWN}&colormap=jet", 400, "INVALID", "encoding.colormap: one of"),
        (f"guide/features/conv.png?image={UNKNOWN}&colour=jet", 400, "INVALID", "colour: Extra inputs are not"),
        (
            f"guide/features/conv.png?image={UNKNOWN}&channels={'9' * 5000}",
            400,
            "INVALID",
            "channels: String should match",
        ),
        (f"guide/features/conv.png?image={UNKNOWN}&top_k=-1", 400, "INVALID", "top_k: Input should be greater"),
        (f"residual/features/stem.0.png?image={UNKNOWN}&kernels=as served", 412, "REFUSED", "folded into act"),
        ("guide/nothing", 404, "NOT_FOUND", "Not Found"),
    ],
)
async def test_errors_are_those_of_grpc(
    http: httpx.AsyncClient, path: str, status: int, word: str, message: str
) -> None:
    """The same message, under the status that fits."""
    answer = await http.get(f"/v1/models/{path}")
    error = answer.json()["error"]

    assert (answer.status_code, error["code"], error["status"]) == (status, status, word)
    assert message in error["message"]
    assert answer.headers["cache-control"] == "no-store"


async def test_an_upload_ends_at_the_limit(http: httpx.AsyncClient) -> None:
    """Whatever its length was said to be; what is no picture is refused as such."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1 << 26:
            sent += 1000
            yield bytes(1000)

    long = await http.post("/v1/images", content=bytes(MAX_BYTES + 1))
    unannounced = await http.post("/v1/images", content=endless())
    text = await http.post("/v1/images", content=b"no picture")

    assert (long.status_code, unannounced.status_code) == (413, 413)
    assert "at most 5000 bytes" in long.json()["error"]["message"]
    assert text.status_code == 400
    assert text.json()["error"]["field"] == "image"


async def test_a_full_desk_says_when_to_come_again(catalog: FakeCatalog, inside: FakeClassifier) -> None:
    """429, and the time in whole seconds; whoever serves pictures is as full in the same words."""
    inside.failures[b"x"] = Overloaded(Reason.FULL, "512 requests wait", 0.3)
    operations = ClassificationTwin(inside, catalog, MAX_BYTES).operations()
    app = create_app("1.2.3", catalog, catalog.ready, Metrics("1.2.3").render, operations)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
        answer = await http.post("/v1/models/digits/classify", content=b"x")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["error"] == {"code": 429, "status": "OVERLOADED", "message": "512 requests wait"}


async def test_pictures_are_classified(http: httpx.AsyncClient, inside: FakeClassifier) -> None:
    """By the same queue, with the caller's options."""
    answer = await http.post("/v1/models/digits/classify?top_k=1&logits=true", content=b"picture")
    refused = await http.post("/v1/models/digits/classify?top_k=0", content=b"picture")

    assert answer.json()["predictions"] == [{"label": "zero", "index": 0, "score": 0.75}]
    assert (answer.json()["logits"], answer.json()["model"]) == ([1.5, 0.5], "digits")
    assert inside.calls[0].method == "http"
    assert refused.json()["error"]["field"] == "top_k"


async def test_models_are_listed(http: httpx.AsyncClient) -> None:
    """All of them, and each by its name."""
    models = (await http.get("/v1/models")).json()["models"]
    digits = (await http.get("/v1/models/digits")).json()

    assert [(model["name"], model["state"]) for model in models] == [
        ("digits", "MODEL_STATE_READY"),
        ("fashion", "MODEL_STATE_FAILED"),
    ]
    assert (digits["digest"], digits["input"]["height"]) == (DIGEST, 28)


async def test_everything_is_described(http: httpx.AsyncClient) -> None:
    """OpenAPI 3.1: every route with its parameters, from the definitions that check them."""
    described: dict[str, Any] = (await http.get("/openapi.json")).json()
    maps = described["paths"]["/v1/models/{model}/features/{layer}.{form}"]["get"]
    named = {parameter["name"]: parameter for parameter in maps["parameters"]}

    assert described["openapi"] == "3.1.0"
    assert set(described["paths"]) == {
        "/v1/images",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/models/{model}/attribute.{form}",
        "/v1/models/{model}/classify",
        "/v1/models/{model}/explain",
        "/v1/models/{model}/features/{layer}.{form}",
        "/v1/models/{model}/layers",
    }
    assert named["image"]["required"]
    assert named["image"]["schema"] == {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    assert named["key"]["schema"]["enum"] == ["mean", "max", "l2", "std", "contribution"]
    assert (named["layer"]["in"], named["form"]["schema"]) == ("path", {"enum": ["png", "npy", "bin", "json"]})


async def test_every_question_is_logged(http: httpx.AsyncClient) -> None:
    """Who asked, which model, which layer, how many bytes went out."""
    with capture_logs() as lines:
        image = await nine(http)
        await http.get("/v1/models/guide/features/conv.bin", params={"image": image})
        await http.get("/v1/models/guide/explain", params={"image": image, "layer": "conv"})

    assert [(line["event"], line["who"], line.get("model")) for line in lines] == [
        ("picture kept", "127.0.0.1", None),
        ("feature maps", "127.0.0.1", "guide"),
        ("unit", "127.0.0.1", "guide"),
    ]
    assert (lines[1]["names"], lines[1]["sent_bytes"]) == (["conv"], 16)
