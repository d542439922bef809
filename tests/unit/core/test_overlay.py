from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.core import colormaps
from service.core.errors import InvalidInput
from service.core.overlay import Overlay, Painted, paint

GRAY = np.full((2, 2, 1), 128, np.uint8)
COLOURED = np.full((2, 2, 3), 128, np.uint8)
BARE = Overlay(min_side=0, legend=False)
EVIDENCE = np.array([[0.0, 2.0], [-4.0, 1.0]])


def seen(painted: Painted) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(painted.png)).convert("RGB"))


@pytest.mark.parametrize("pixels", [GRAY, COLOURED])
def test_the_picture_shows_where_there_is_no_evidence(pixels: NDArray[np.uint8]) -> None:
    """In gray and dimmed; evidence for is orange, against is violet, and the scale is symmetric about zero."""
    painted = paint(pixels, EVIDENCE, BARE, "")

    (none, some), (against, _) = seen(painted).astype(int).tolist()
    assert none == [96, 96, 96]
    assert some[0] > some[1] > some[2]
    assert against[2] > against[0] > against[1]
    assert (painted.colormap, painted.low, painted.high) == ("puor", -4, 4)


def test_evidence_of_one_sign_starts_at_zero() -> None:
    """So that two maps can be compared by their colours."""
    painted = paint(GRAY, np.array([[1.0, 2.0], [1.5, 4.0]]), BARE, "")

    assert (painted.colormap, painted.low, painted.high) == ("viridis", 0, 4)
    strongest = 0.85 * colormaps.table("viridis", 255)[-1] + 0.15 * 96
    assert seen(painted)[1, 1].tolist() == strongest.round().tolist()


def test_a_map_without_evidence_is_the_picture() -> None:
    """No division by its range."""
    assert seen(paint(GRAY, np.zeros((2, 2)), BARE, "")).tolist() == [[[96] * 3] * 2] * 2
    assert paint(GRAY, np.zeros((2, 2)), Overlay(), "").high == 0


def test_small_pictures_are_enlarged_and_have_a_legend() -> None:
    """By a whole number, with room for the title above and the scale on the right, ink on paper."""
    bare = seen(paint(GRAY, EVIDENCE, Overlay(min_side=50, legend=False), ""))
    page = seen(paint(GRAY, EVIDENCE, Overlay(min_side=50), "cam: cat"))

    assert bare.shape == (50, 50, 3)
    assert page.shape[0] > 50 < page.shape[1]
    assert (page[: page.shape[0] - 50] < 100).any()
    np.testing.assert_array_equal(page[-50:, :50], bare)
    scale = page[-50:, 60].astype(int)
    assert scale[0, 0] > scale[0, 2] + 50
    assert scale[-1, 2] > scale[-1, 1] + 50


def test_long_titles_are_cut() -> None:
    """The page does not grow."""
    short, long = (seen(paint(GRAY, EVIDENCE, Overlay(min_side=50), title)) for title in ("cam", "cam: " + 90 * "w"))

    assert short.shape == long.shape
    assert (long[:20, -10:] == 255).all()


@pytest.mark.parametrize(
    ("colormap", "min_side", "message"),
    [("jet", 0, "overlay.colormap: one of viridis, .*, got 'jet'"), ("", 9999, "overlay.min_side: 0 to 2048 pixels")],
)
def test_unknown_wishes_are_refused(colormap: str, min_side: int, message: str) -> None:
    """Jet is not offered: it shows edges that are not there, and not to everybody."""
    with pytest.raises(InvalidInput, match=message):
        Overlay(colormap, min_side)
