from __future__ import annotations

import numpy as np

from service.core import saliency
from service.core.geometry import Field
from service.core.saliency import PIXELS, Placement, enlarged, placement

MAPS = np.array([[[1, 2], [3, 4]], [[0, 1], [0, 1]]], np.float32)
GRADIENTS = np.array([[[1, 1], [-1, -1]], [[2, 2], [2, 0]]], np.float32)


def test_cam_adds_up_to_the_weighted_means() -> None:
    """3 x mean(1..4) - 1 x mean(0, 1, 0, 1) = 7."""
    found = saliency.cam(MAPS, np.array([3.0, -1.0]))

    assert found.tolist() == [[0.75, 1.25], [2.25, 2.75]]
    assert found.sum() == 7


def test_each_method_weighs_the_units_in_its_own_way() -> None:
    """By the channel's mean gradient, by their own, by their own where it is positive."""
    assert saliency.grad_cam(MAPS, GRADIENTS).tolist() == [[0, 1.5], [0, 1.5]]
    assert saliency.hires_cam(MAPS, GRADIENTS).tolist() == [[1, 4], [-3, -4]]
    assert saliency.layer_cam(MAPS, GRADIENTS).tolist() == [[1, 4], [0, 0]]


def test_units_are_left_alone_one_after_the_other() -> None:
    """Each copy has one column of values, and they add up to the maps."""
    alone = np.concatenate([saliency.alone(MAPS, 0, 3), saliency.alone(MAPS, 3, 4)])

    assert alone[1].tolist() == [[[0, 2], [0, 0]], [[0, 1], [0, 0]]]
    np.testing.assert_array_equal(alone.sum(axis=0), MAPS)


def test_cells_lie_at_the_centres_of_their_fields() -> None:
    """A field of 3 pixels that starts at -1 is centred on pixel 0; unknown and global fields are spread evenly."""
    assert placement((4, 4), (8, 8), Field((3, 3), (2, 2), (-1, -1))) == Placement((0.0, 0.0), (2.0, 2.0))
    even = Placement((0.5, 1.5), (2.0, 4.0))
    assert placement((4, 2), (8, 8), None) == even
    assert placement((4, 2), (8, 8), Field((8, 8), (0, 0), (0, 0))) == even


def test_a_map_is_enlarged_between_the_centres() -> None:
    """Halfway between two cells is their mean; beyond the outermost nothing changes."""
    large = enlarged(np.array([[0.0, 4.0]]), Placement((0.0, 1.0), (1.0, 2.0)), (2, 6))

    assert large.tolist() == [[0, 0, 2, 4, 4, 4]] * 2


def test_a_map_of_pixels_stays_as_it_is() -> None:
    """Enlarging by one."""
    values = np.arange(6.0).reshape(2, 3)

    assert enlarged(values, PIXELS, (2, 3)).tolist() == values.tolist()
