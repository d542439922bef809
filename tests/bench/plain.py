"""The plain fp32 ceiling: `peers.plain_model` in bare threads, the limit of servers that are built around one."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from onnx.utils import Extractor

from service.core.spec import OUTPUT_NAME
from service.engine.store import ModelStore
from tests.bench.ceiling import newest, rate
from tests.bench.peers.plain_model import PlainModel

_LANES = 2
#: The last step of the normalisation that export puts into the graph.
_SHIFT = "image/shift"


def write_plain(models: Path, model: str, folder: Path) -> Path:
    """Write the newest version of `model` without its preprocessing into `folder`, for `PlainModel`."""
    stored = ModelStore(models).open(newest(models, model))
    whole = onnx.shape_inference.infer_shapes(onnx.load_from_string(stored.model))
    (normalised,) = (node.output[0] for node in whole.graph.node if _SHIFT in node.input)
    onnx.save(Extractor(whole).extract_model([normalised], [OUTPUT_NAME]), folder / "network.onnx")
    spec, how = stored.spec, stored.spec.preprocess
    about = {
        "input": normalised,
        "channels": spec.channels,
        "height": spec.height,
        "width": spec.width,
        "crop_fraction": how.crop_fraction if how.resize == "crop" else 1.0,
        "scale": how.scale,
        "mean": how.mean,
        "std": how.std,
    }
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def plain_ceiling(model: PlainModel, picture: bytes, seconds: float) -> float:
    """Pictures per second of one thread for each of two cores."""

    def one() -> int:
        model.classify(picture)
        return 1

    return rate(one, _LANES, seconds)
