"""The guide's worked example, as shipped: the file in the zoo, through ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model import reference
from service.core.messages import ModelKey
from service.engine.store import ModelStore

pytestmark = pytest.mark.train

ZOO = Path(__file__).parents[2] / "model" / "zoo"


def test_the_pixels_0_to_8_give_19_25_37_43() -> None:
    """A 2x2 kernel 0..3 slides over a 3x3 picture without flipping: 0*0 + 1*1 + 3*2 + 4*3 = 19, and so on."""
    store = ModelStore(ZOO)
    guide = store.open(ModelKey("guide", max(store.versions()["guide"])))

    logits = reference.logits(guide.model, np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1))

    assert logits.tolist() == [[19, 25, 37, 43]]
    assert [layer.path for layer in guide.spec.layers] == ["conv", "flatten"]
