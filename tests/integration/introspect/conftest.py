"""Exported networks, once per session: exporting takes seconds."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from service.core.spec import Spec
from tests import nets

_exported = cache(nets.exported)


@pytest.fixture(params=sorted(nets.NETS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(name: str) -> bytes:
    return _exported(name)[0]


@pytest.fixture
def spec(name: str) -> Spec:
    return _exported(name)[1]


@pytest.fixture
def residual() -> bytes:
    return _exported("residual")[0]


@pytest.fixture
def picture(spec: Spec) -> NDArray[np.uint8]:
    """One item [height, width, channels], every pixel random."""
    return np.random.default_rng(3).integers(0, 256, spec.shape, np.uint8)
