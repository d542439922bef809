"""Activation drift in the metrics of a real server: nothing while pictures are as at export, much when they change."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable
from functools import partial

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.client import Client
from service.core.messages import ModelKey
from service.engine.store import ModelStore
from tests.serving import ZOO, Serving

Digits = NDArray[np.uint8]


def digits() -> Digits:
    """The samples that are stored with the shipped model, [N, 28, 28]."""
    return ModelStore(ZOO).open(ModelKey("digits", 1)).samples().pixels[..., 0]


def dimmed(pictures: Digits) -> Digits:
    """As a camera with too little light would see them."""
    return (pictures // 3).astype(np.uint8)


def png(pixels: Digits) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def gauges(serving: Serving, name: str) -> dict[str, float]:
    """The values of a metric by layer, or by nothing."""
    text = httpx.get(f"{serving.http}/metrics").text
    found = re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)
    return {(re.findall(r'layer="([^"]+)"', labels) or [""])[0]: float(value) for labels, value in found}


def shown(serving: Serving, pictures: Iterable[Digits]) -> dict[str, float]:
    """How far each layer is after so many more pictures were measured, none of which was left out."""
    with Client(serving.grpc) as client:
        for picture in pictures:
            count = measured(serving) + 1
            client.classify(png(picture), model="digits")
            until(partial(has, serving, count))
    return gauges(serving, "vitrine_activation_drift_ratio")


def measured(serving: Serving) -> float:
    text = httpx.get(f"{serving.http}/metrics").text
    series = 'vitrine_activation_drift_samples_total{model="digits",outcome="measured"}'
    found = re.search(rf"^{series} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def has(serving: Serving, count: float) -> bool:
    return measured(serving) == count


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_pictures_that_changed_are_seen_in_the_metrics(serve: Callable[..., Serving]) -> None:
    """Each of the last 50 digits is looked at; when they come dimmed, most channels of all layers have moved."""
    serving = serve("digits", DRIFT_SHARE="1", DRIFT_WINDOW="50")
    as_before = shown(serving, digits()[::5][:50])
    too_dark = shown(serving, dimmed(digits()[::5][:50]))

    assert list(as_before) == ["stem_relu", "block.relu1", "block.activation", "classes"]
    assert max(as_before.values()) == 0
    assert min(too_dark.values()) > 0.3
    assert gauges(serving, "vitrine_activation_drift_pictures") == {"": 50.0}


def test_nothing_is_watched_unless_asked_for(serve: Callable[..., Serving], nine: bytes) -> None:
    """There are no such series then."""
    serving = serve("guide")
    with Client(serving.grpc) as client:
        client.classify(nine, model="guide")

    assert "vitrine_activation_drift_samples_total{" not in httpx.get(f"{serving.http}/metrics").text
    assert gauges(serving, "vitrine_activation_drift_ratio") == {}


def test_a_version_without_such_layers_is_not_watched(serve: Callable[..., Serving], nine: bytes) -> None:
    """That is said once, and costs nothing more."""
    serving = serve("guide", DRIFT_SHARE="1", DRIFT_LAYERS="nothing*")
    with Client(serving.grpc) as client:
        for _ in range(5):
            client.classify(nine, model="guide")
            until(lambda: any("not watched" in line for line in serving.log))

    assert sum("activation drift is not watched" in line for line in serving.log) == 1
