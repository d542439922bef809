"""The plain way to classify, in bare threads: the limit of the servers that Vitrine is compared with (docs/bench.md).

JPEG by libjpeg-turbo, the whole picture resized by Pillow and cropped then, normalised by numpy, and the network in
fp32 on ONNX Runtime's own CPU provider, one picture at a time, one thread for each of two cores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import simplejpeg
from numpy.typing import NDArray
from onnx.utils import Extractor
from PIL import Image

from service.core.scores import softmax
from service.core.spec import OUTPUT_NAME, Spec
from service.engine.session import quiet_options
from service.engine.store import ModelStore
from tests.bench.ceiling import newest

_LANES = 2
_BEST = 5
#: The last step of the normalisation that export puts into the graph.
_SHIFT = "image/shift"

Classify = Callable[[bytes], NDArray[np.intp]]


def plain(models: Path, model: str) -> Classify:
    """A function from a JPEG to the indexes of its best classes, best first."""
    stored = ModelStore(models).open(newest(models, model))
    network, normalised = _network(stored.model)
    spec = stored.spec

    def classify(data: bytes) -> NDArray[np.intp]:
        (logits,) = network.run([OUTPUT_NAME], {normalised: _pixels(data, spec)[np.newaxis]})
        best: NDArray[np.intp] = np.argsort(-softmax(logits), axis=1)[0, :_BEST]
        return best

    return classify


def rate(classify: Classify, picture: bytes, seconds: float) -> float:
    """Pictures per second of all threads."""
    end = time.perf_counter() + seconds
    counts = [0] * _LANES

    def work(lane: int) -> None:
        while time.perf_counter() < end:
            classify(picture)
            counts[lane] += 1

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(_LANES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def _pixels(data: bytes, spec: Spec) -> NDArray[np.float32]:
    """Normalised, [channels, height, width]."""
    how = spec.preprocess
    image = Image.fromarray(simplejpeg.decode_jpeg(data, "RGB"))
    larger = max(spec.width / image.width, spec.height / image.height) / how.crop_fraction
    image = image.resize((round(image.width * larger), round(image.height * larger)), Image.Resampling.BICUBIC)
    left, top = (image.width - spec.width) // 2, (image.height - spec.height) // 2
    pixels = np.asarray(image.crop((left, top, left + spec.width, top + spec.height)), np.float32)
    mean, std = np.array(how.mean, np.float32), np.array(how.std, np.float32)
    return np.ascontiguousarray(((pixels * np.float32(how.scale) - mean) / std).transpose(2, 0, 1))


def _network(model: bytes) -> tuple[ort.InferenceSession, str]:
    """The network behind its normalisation, and the name of its input."""
    whole = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
    (normalised,) = (node.output[0] for node in whole.graph.node if _SHIFT in node.input)
    network = Extractor(whole).extract_model([normalised], [OUTPUT_NAME]).SerializeToString()
    options = quiet_options()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"]), normalised
