from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from service.core.errors import InvalidInput
from service.core.geometry import Box
from service.core.perturbation import Fill, Occlusion, Rise, Tally, blended, filled, hiding

PIXELS = np.array([[[0, 100], [200, 100]]], np.uint8)


def test_patches_reach_every_pixel() -> None:
    """The last one is moved back to the edge, where the stride does not fit."""
    boxes = Occlusion(patch=3, stride=2).boxes((3, 6))

    assert boxes == [Box(0, 0, 3, 3), Box(0, 2, 3, 5), Box(0, 3, 3, 6)]


def test_a_patch_is_a_sixth_of_the_side_unless_told() -> None:
    """Moved by half of itself."""
    first, second, *_ = Occlusion().boxes((24, 30))

    assert (first.size, second.x0) == ((4, 4), 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Occlusion(patch=9).boxes((8, 20)), "occlusion.patch: 1 to 8 pixels, got 9"),
        (lambda: Occlusion(patch=2, stride=3).boxes((8, 8)), "occlusion.stride: 1 to the patch, 2 pixels, got 3"),
        (lambda: Rise(masks=0), "rise.masks: at least 1, got 0"),
        (lambda: Rise(cells=1), "rise.cells: 2 to 64, got 1"),
        (lambda: Rise(keep=1.0), "rise.keep: between 0 and 1, got 1.0"),
    ],
)
def test_what_cannot_be_hidden_is_refused(wrong: Callable[[], object], message: str) -> None:
    """Field, limit and value are named."""
    with pytest.raises(InvalidInput, match=message):
        wrong()


def test_masks_are_the_seeds() -> None:
    """The same seed gives the same masks, in whatever batches they are drawn; another gives others."""
    rise = Rise(cells=4)

    def drawn(seed: int, *counts: int) -> list[float]:
        random = np.random.default_rng(seed)
        return np.concatenate([rise.draw(random, count, (9, 7)) for count in counts]).ravel().tolist()

    assert drawn(1, 6) == drawn(1, 2, 4)
    assert drawn(1, 6) != drawn(2, 6)


def test_masks_show_their_share_everywhere() -> None:
    """Each pixel about as often as `keep` says, by between none and all of it."""
    masks = Rise(cells=5, keep=0.3).draw(np.random.default_rng(0), 2000, (10, 10))

    assert (masks.min(), masks.max()) == (0, 1)
    assert np.abs(masks.mean(axis=0) - 0.3).max() < 0.05


def test_hidden_pixels_are_replaced() -> None:
    """By the mean of each channel, black, white, or a blur that has the same mean but less contrast."""
    shown = np.array([[[1, 0]], [[0.5, 0]]], np.float32)

    assert blended(PIXELS, filled(PIXELS, Fill.BLACK), shown).tolist() == [[[[0, 100], [0, 0]]], [[[0, 50], [0, 0]]]]
    assert filled(PIXELS, Fill.MEAN).tolist() == [[[100, 100], [100, 100]]]
    assert filled(PIXELS, Fill.WHITE).tolist() == [[[255, 255], [255, 255]]]
    edge = np.repeat([[0] * 16 + [255] * 16], 32, axis=0).astype(np.uint8)[..., np.newaxis]
    blurred = filled(edge, Fill.BLUR)
    assert blurred.shape == edge.shape
    assert 80 < blurred[16, 15, 0] < blurred[16, 16, 0] < 175


def test_what_concerned_a_pixel_counts_for_it() -> None:
    """A mean of scores by how much each picture hid it; zero where nothing did."""
    tally = Tally((1, 3))
    hidden = 1 - hiding([Box(0, 0, 1, 1), Box(0, 0, 1, 2)], (1, 3))

    tally.add(hidden, np.array([4.0, 2.0]))

    assert tally.values().tolist() == [[3, 2, 0]]
