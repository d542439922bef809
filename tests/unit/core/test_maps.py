from __future__ import annotations

import numpy as np
import pytest

from service.core.errors import InvalidInput
from service.core.geometry import Box, Field
from service.core.maps import (
    Channels,
    Key,
    Region,
    Span,
    TopK,
    Wanted,
    as_maps,
    choose,
    maps_shape,
    units,
)

#: Three channels of 2x2: means 1, 2, 0; maxima 4, 2, 1; standard deviations sqrt(3), 0, 1.
MAPS = np.array([[[0, 0], [0, 4]], [[2, 2], [2, 2]], [[1, -1], [1, -1]]], np.float32)


@pytest.mark.parametrize(
    ("channels", "chosen"),
    [
        (None, (0, 1, 2)),
        ((2, 0), (2, 0)),
        (Span(1), (1, 2)),
        (Span(0, 2), (0, 1)),
        (Span(1, 99), (1, 2)),
        (TopK(2), (1, 0)),
        (TopK(2, Key.MEAN, ascending=True), (2, 0)),
        (TopK(1, Key.MAX), (0,)),
        (TopK(3, Key.STD), (0, 2, 1)),
        (TopK(99, Key.L2), (0, 1, 2)),
    ],
)
def test_channels_by_index_range_and_rank(channels: Channels, chosen: tuple[int, ...]) -> None:
    """In the order asked for, or the first of the ranking first; ties go to the lower index."""
    selection = choose(MAPS, Wanted(channels), None, None)

    assert selection.channels == chosen
    np.testing.assert_array_equal(MAPS[list(chosen)], selection.values)


def test_channels_by_their_share_in_a_class() -> None:
    """Mean times the weight of the class: 1 * -3, 2 * 1 and 0 * 9."""
    chosen = choose(MAPS, Wanted(TopK(3, Key.CONTRIBUTION)), None, np.array([-3.0, 1.0, 9.0]))

    assert chosen.channels == (1, 2, 0)


def test_a_share_that_nobody_can_compute_is_refused() -> None:
    """Only some heads are sums."""
    with pytest.raises(InvalidInput, match=r"channels.top_k.key: MEAN, MAX, L2 or STD"):
        choose(MAPS, Wanted(TopK(1, Key.CONTRIBUTION)), None, None)


@pytest.mark.parametrize("ascending", [True, False])
def test_a_channel_of_nothing_but_nan_ranks_last(ascending: bool) -> None:  # noqa: FBT001
    """Either way; one with a NaN among numbers is ranked by the numbers."""
    maps = MAPS.copy()
    maps[0] = np.nan
    maps[1, 0, 0] = np.nan

    order = choose(maps, Wanted(TopK(3, ascending=ascending)), None, None).channels

    assert order[-1] == 0
    assert set(order[:2]) == {1, 2}


@pytest.mark.parametrize(
    ("channels", "field"),
    [((3,), "channels.indices"), (Span(3), "channels.range"), (Span(2, 1), "channels.range"), (TopK(0), "k")],
)
def test_channels_that_do_not_exist_are_refused(channels: Channels, field: str) -> None:
    """The message names the field."""
    with pytest.raises(InvalidInput, match=field):
        choose(MAPS, Wanted(channels), None, None)


def test_a_region_of_units() -> None:
    """Cut out, and clipped to the map."""
    selection = choose(MAPS, Wanted(region=Region(Box(1, 0, 9, 1))), None, None)

    assert selection.box == Box(1, 0, 2, 1)
    np.testing.assert_array_equal([[[0]], [[2]], [[1]]], selection.values)


def test_a_region_of_the_picture_means_the_units_that_see_it() -> None:
    """A 3x3 window of stride 2 and padding 1: pixel 4 is seen by unit 2 alone, pixel 3 by units 1 and 2."""
    field = Field((3, 3), (2, 2), (-1, -1))

    assert units((5, 5), Region(Box(4, 3, 5, 4), of_input=True), field) == Box(2, 1, 3, 3)


@pytest.mark.parametrize(
    ("region", "field", "message"),
    [
        (Region(Box(5, 5, 9, 9)), None, "must hold a unit of the 2 x 2 map"),
        (Region(Box(0, 0, 1, 1), of_input=True), None, "FEATURE for a layer whose receptive field is not known"),
    ],
)
def test_a_region_of_nothing_is_refused(region: Region, field: Field | None, message: str) -> None:
    """Rather than answered with nothing."""
    with pytest.raises(InvalidInput, match=message):
        choose(MAPS, Wanted(region=region), field, None)


@pytest.mark.parametrize(
    ("shape", "maps"), [((8, 5, 4), (8, 5, 4)), ((10,), (10, 1, 1)), ((), (1, 1, 1)), ((7, 3), (1, 7, 3))]
)
def test_whatever_a_layer_gives_can_be_shown_as_maps(shape: tuple[int, ...], maps: tuple[int, ...]) -> None:
    """A dense layer's units are maps of one value."""
    assert maps_shape(shape) == as_maps(np.zeros(shape)).shape == maps
