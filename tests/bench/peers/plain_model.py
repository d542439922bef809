"""The plain way to classify: what a server is built around that knows nothing of the model's inside.

The whole picture is decoded (JPEG by libjpeg-turbo), resized by Pillow and cropped then, normalised by numpy, and goes
through the network in fp32 on ONNX Runtime's own CPU provider, on one thread. Needs nothing of Vitrine, so that other
servers run it in an environment of their own; `tests.bench.plain` writes the folder that it reads.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

#: Names the folder for servers whose workers are started by the server.
FOLDER = "PLAIN_MODEL"
_BEST = 5
_FATAL = 4


class PlainModel:
    """`network.onnx` and `about.json` of a folder: float32 [1, channels, height, width] -> logits [1, classes]."""

    def __init__(self, folder: Path) -> None:
        self._about = about = json.loads((folder / "about.json").read_text())
        self._mean, self._std = (np.array(about[name], np.float32) for name in ("mean", "std"))
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL
        network = str(folder / "network.onnx")
        self._network = ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    @classmethod
    def here(cls) -> PlainModel:
        """The one of the folder that the environment names."""
        return cls(Path(os.environ[FOLDER]))

    def classify(self, data: bytes) -> list[dict[str, Any]]:
        """The best classes of an encoded picture, best first: their `index` and `score`."""
        (logits,) = self._network.run(None, {self._about["input"]: self._pixels(data)[np.newaxis]})
        powers = np.exp(logits[0] - logits[0].max())
        scores = powers / powers.sum()
        return [{"index": int(index), "score": float(scores[index])} for index in np.argsort(-scores)[:_BEST]]

    def _pixels(self, data: bytes) -> NDArray[np.float32]:
        image = self._fitted(_decode(data, "RGB" if self._about["channels"] == len("RGB") else "GRAY"))
        pixels = np.asarray(image, np.float32).reshape(image.height, image.width, -1)
        normal = (pixels * np.float32(self._about["scale"]) - self._mean) / self._std
        return np.ascontiguousarray(normal.transpose(2, 0, 1))

    def _fitted(self, image: Image.Image) -> Image.Image:
        """Resized as a whole, then the middle of it."""
        width, height = self._about["width"], self._about["height"]
        factor = max(width / image.width, height / image.height) / self._about["crop_fraction"]
        size = (round(image.width * factor), round(image.height * factor))
        if size != image.size:
            image = image.resize(size, Image.Resampling.BICUBIC)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))


def _decode(data: bytes, colours: str) -> Image.Image:
    if data.startswith(b"\xff\xd8"):
        return Image.fromarray(simplejpeg.decode_jpeg(data, colours).squeeze())
    return Image.open(io.BytesIO(data)).convert("RGB" if colours == "RGB" else "L")
