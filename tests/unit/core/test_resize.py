from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from service.core import resize
from service.core.spec import Interpolation
from tests.unit.core.encoded import photo

WHOLE = (0, 0, 200, 150)
SMOOTH: list[Interpolation] = ["bilinear", "bicubic", "lanczos"]


@pytest.fixture(params=["simd", "pillow"])
def resizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as it is, or as it is where `cykooz_resizer` is not installed."""
    if request.param == "simd":
        pytest.importorskip("cykooz_resizer")
        return resize
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    module_spec = importlib.util.spec_from_file_location("resize_by_pillow", str(resize.__file__))
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    assert module.simd is None
    return module


@pytest.mark.parametrize("interpolation", SMOOTH)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (64, 48), (300, 310)])
def test_a_box_looks_as_if_the_whole_picture_had_been_resized(
    resizer: ModuleType, interpolation: Interpolation, channels: int, size: tuple[int, int]
) -> None:
    """The filters see what lies beside the box; single values may be rounded otherwise."""
    pixels = photo(150, 200, channels)
    whole = Image.fromarray(pixels.squeeze()).resize((2 * size[0], 2 * size[1]), resizer._PILLOW[interpolation])
    left, top = size[0] // 2, size[1] // 2
    expected = np.asarray(whole)[top : top + size[1], left : left + size[0]].reshape(size[1], size[0], channels)

    box = (left / (2 * size[0]) * 200, top / (2 * size[1]) * 150)
    resized = resizer.resize(pixels, (*box, box[0] + 100, box[1] + 75), size, interpolation)

    difference = np.abs(resized.astype(int) - expected)
    assert resized.shape == (size[1], size[0], channels)
    assert difference.max() <= 3
    assert difference.mean() < 0.3


def test_halving_averages(resizer: ModuleType) -> None:
    """Antialiasing: a checkerboard of black and white becomes gray, not black or white."""
    board = np.indices((8, 8)).sum(axis=0).astype(np.uint8)[:, :, np.newaxis] % 2 * 255

    assert set(resizer.resize(board, (0, 0, 8, 8), (4, 4), "bilinear")[1:3, 1:3].ravel()) <= {127, 128}


def test_nearest_picks_pixels(resizer: ModuleType) -> None:
    """No value appears that was not there; doubling repeats each pixel."""
    pixels = np.array([[[1], [2]], [[3], [4]]], np.uint8)

    assert resizer.resize(pixels, (0, 0, 2, 2), (4, 4), "nearest")[:, :, 0].tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]


def test_what_fits_is_not_touched(resizer: ModuleType) -> None:
    """No filter runs over a picture that has the right size: the very array comes back."""
    pixels = photo(150, 200)

    assert resizer.resize(pixels, WHOLE, (200, 150), "bicubic") is pixels


def test_a_box_of_the_right_size_is_still_cut_out(resizer: ModuleType) -> None:
    """The whole picture is returned for the whole picture only."""
    pixels = photo(150, 200)

    assert np.array_equal(resizer.resize(pixels, (10, 20, 110, 120), (100, 100), "bilinear"), pixels[20:120, 10:110])


@pytest.mark.parametrize("interpolation", SMOOTH)
def test_bands_leave_no_seam(interpolation: Interpolation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture is resampled a few rows at a time; only the rounding of a coefficient may differ."""
    pytest.importorskip("cykooz_resizer")
    pixels, box = photo(150, 200), (20.5, 10.25, 180.5, 140.75)
    once = resize.resize(pixels, box, (50, 40), interpolation)
    monkeypatch.setattr(resize, "_BAND_BYTES", 10_000)
    bands = list(resize._bands(pixels, box, (50, 40)))

    banded = resize.resize(pixels, box, (50, 40), interpolation)

    assert [rows for _, rows in bands] == [6, 6, 6, 6, 6, 6, 4]
    assert np.abs(banded.astype(int) - once).max() <= 1
