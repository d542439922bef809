"""What fuzzing starts from: at least one valid input of each kind, for every target."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from service.core import records, routing
from service.core.errors import BadImage, NoSuchModel
from service.core.jobs import Item
from service.core.messages import Answer, ModelKey, Options, Prediction, Timing
from service.core.records import PredictionRecord
from service.core.routing import Record, Routing, Shadow
from service.core.spec import to_json
from service.queues.envelope import params, write_item, write_reply
from service.rpc.open_inference import pb
from tests.fuzz.targets import COLOUR
from tests.unit.core.encoded import encode, exif, photo

_PICTURE = photo(19, 27)
_ALPHA = np.dstack([_PICTURE, _PICTURE[:, :, :1]])
_WIDE = _PICTURE[:, :, 0].astype(np.uint16) * 257
_PIXELS = bytes(range(60))
_TIMING = Timing(1, 2, 3, 4, "cpu fp32")


def pictures() -> list[bytes]:
    """Every format and way of storing that is accepted."""
    return [
        encode(_PICTURE, "JPEG", exif=exif(6)),
        encode(_PICTURE, "JPEG", progressive=True),
        encode(_PICTURE, "JPEG", "L"),
        encode(_PICTURE, "JPEG", "CMYK"),
        encode(_ALPHA, "PNG", exif=exif(3)),
        encode(_PICTURE, "PNG", "P", transparency=3),
        encode(_WIDE, "PNG"),
        encode(_ALPHA, "WebP", exif=exif(8)),
        encode(_PICTURE, "WebP", lossless=True),
        encode(_PICTURE, "GIF"),
        encode(_PICTURE, "BMP"),
        encode(_PICTURE, "BMP", "P"),
        encode(_PICTURE, "TIFF"),
        encode(_WIDE, "TIFF"),
        encode(_ALPHA, "TIFF", compression="tiff_lzw"),
        encode(_PICTURE, "TIFF", compression="jpeg"),
    ]


def open_inference_grpc() -> list[bytes]:
    """Raw and typed contents of every datatype, with outputs and parameters."""
    tensor = pb.ModelInferRequest.InferInputTensor
    floats = np.arange(60, dtype="<f4").tobytes()
    encoded = pictures()[9]
    outputs = [pb.ModelInferRequest.InferRequestedOutputTensor(name="scores")]
    outputs[0].parameters["classification"].int64_param = 2
    typed = pb.InferTensorContents(uint_contents=list(_PIXELS))
    requests = [
        pb.ModelInferRequest(
            inputs=[tensor(name="image", datatype="UINT8", shape=[1, 5, 4, 3])], raw_input_contents=[_PIXELS]
        ),
        pb.ModelInferRequest(
            inputs=[tensor(name="image", datatype="FP32", shape=[1, 3, 5, 4])], raw_input_contents=[floats]
        ),
        pb.ModelInferRequest(
            inputs=[tensor(name="image", datatype="BYTES", shape=[1])],
            raw_input_contents=[struct.pack("<I", len(encoded)) + encoded],
            outputs=outputs,
        ),
        pb.ModelInferRequest(inputs=[tensor(name="image", datatype="UINT8", shape=[1, 5, 4, 3], contents=typed)]),
    ]
    for request in requests:
        request.model_name, request.model_version, request.id = "colour", "1", "seed"
        request.parameters["timeout"].int64_param = 1000
        request.parameters["priority"].int64_param = 1
    return [request.SerializeToString() for request in requests]


def open_inference_http() -> list[bytes]:
    """JSON alone, and with bytes behind it."""
    about = {"name": "image", "datatype": "UINT8", "shape": [1, 5, 4, 3]}
    alone = {"id": "seed", "inputs": [{**about, "data": list(_PIXELS)}], "parameters": {"timeout": 5, "priority": 2}}
    packed = {
        "inputs": [{**about, "parameters": {"binary_data_size": 60}}],
        "outputs": [{"name": "logits", "parameters": {"binary_data": True, "classification": 1}}],
    }
    base64 = {"parameters": {"content_type": "base64"}}
    text = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["R0lGODlh"], **base64}]}
    head = json.dumps(packed).encode()
    return [
        b"\n" + json.dumps(alone).encode(),
        str(len(head)).encode() + b"\n" + head + _PIXELS,
        b"\n" + json.dumps(text).encode(),
        b"\n" + json.dumps(text, ensure_ascii=False).replace("G", "\N{LATIN CAPITAL LETTER U WITH DIAERESIS}").encode(),
    ]


def envelopes() -> list[bytes]:
    """Work, items, replies, an announcement, and the records that are kept beside them."""
    asked = params("seed", Options(logits=True))
    answer = Answer("seed", ModelKey("a", 1), "5f", (Prediction("x", 0, 0.5),), (1.0, 2.0), _TIMING)
    work = [b"v", b"1", b"p", asked, b"i", b"token", b"r", b"front", b"d", b"17", b"s", b"9", b"x", b"picture"]
    item = [b"v", b"j1", b"p", asked, b"j", b"job", b"n", b"3"]
    return [
        b"|".join(work),
        b"|".join(item),
        asked,
        write_item(Item("a", b"picture", "")),
        write_item(Item("a", b"", "https://example.org/a.png")),
        write_reply(answer),
        write_reply(BadImage("image", "must be a PNG", "something")),
        write_reply(NoSuchModel("model: none of that name")),
        routing.to_json(Record().then(Routing({"stable": 1, "canary": 2}, {"stable": 1.0}, Shadow("canary", 0.5)))),
        records.to_json(PredictionRecord("seed", 1, "shop", answer.model, Options(), answer, "", 9, kept=True)),
        b'{"digest":"5f","spec":' + to_json(COLOUR).encode() + b',"tuning":{"chosen":{"provider":"cpu"}}}',
    ]


def addresses() -> list[bytes]:
    """One URI of each scheme, and a key set."""
    return [
        b"file:///srv/pictures/a.png",
        b"https://images.example.org:8443/a%20b.png?x=1#f",
        b"https://user@[::1]:443/",
        b"s3://bucket/key",
        b'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}',
    ]


def planted() -> list[bytes]:
    """Nothing of the trap."""
    return [b"hello"]


SEEDS = {
    "picture": pictures,
    "open_inference_grpc": open_inference_grpc,
    "open_inference_http": open_inference_http,
    "envelopes": envelopes,
    "addresses": addresses,
    "planted": planted,
}


def write(target: str, folder: Path) -> None:
    """Put the seeds of `target` into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(SEEDS[target]()):
        (folder / f"seed-{number:02}").write_bytes(data)
