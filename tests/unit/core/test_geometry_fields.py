from __future__ import annotations

import pytest

from service.core.geometry import Box, Field, Window


def test_a_stack_of_windows_sees_what_the_literature_says() -> None:
    """VGG's two 3x3 convolutions see 5x5; a stride doubles the step of all that follows."""
    conv = Window((3, 3), padding=(1, 1, 1, 1))
    pool = Window((2, 2), stride=(2, 2))

    field = Field().through(conv).through(conv).through(pool).through(conv)

    assert field == Field(size=(10, 10), jump=(2, 2), start=(-4, -4))


def test_only_padding_above_and_left_moves_the_start() -> None:
    """What is added below and right makes more units, and moves none."""
    assert Field().through(Window((3, 3), padding=(0, 1, 2, 3))) == Field((3, 3), (1, 1), (0, -1))


def test_branches_of_one_step_take_the_hull() -> None:
    """A shortcut beside two convolutions sees less; the sum sees what either sees."""
    body = Field((5, 5), (2, 2), (-2, -2))
    shortcut = Field((1, 1), (2, 2), (0, 0))

    assert body.union(shortcut, (8, 8)) == body
    assert Field((3, 3), (1, 1), (-2, 0)).union(Field((3, 3), (1, 1), (0, 1)), (9, 9)) == Field((5, 4), (1, 1), (-2, 0))


def test_a_gate_makes_every_unit_see_all() -> None:
    """Its factor was computed from the whole map: no single step fits both, so one hull stands for all units."""
    local = Field((3, 3), (2, 2), (-1, -1))
    everything = local.whole((4, 4))

    assert everything == Field((9, 9), (0, 0), (-1, -1))
    assert local.union(everything, (4, 4)) == Field((9, 9), (0, 0), (-1, -1))


def test_a_unit_knows_its_pixels_and_pixels_know_their_units() -> None:
    """The two questions are each other's inverse."""
    field = Field((3, 3), (2, 2), (-1, -1))

    assert field.of(1, 2) == Box(1, 3, 4, 6)
    assert field.of(0, 0).clipped((10, 10)) == Box(0, 0, 2, 2)
    assert field.units(Box(3, 3, 4, 4), (5, 5)) == Box(1, 1, 3, 3)
    assert field.units(Box(0, 0, 10, 10), (5, 5)) == Box(0, 0, 5, 5)


@pytest.mark.parametrize(("field", "seen"), [(Field((4, 4), (0, 0)), Box(0, 0, 2, 2)), (Field(), Box(0, 0, 0, 0))])
def test_units_that_see_no_pixel_are_none(field: Field, seen: Box) -> None:
    """A map of 2x2 units: all see pixel 3 where each sees everything; none does where each sees its own."""
    assert field.units(Box(3, 3, 4, 4), (2, 2)) == seen


@pytest.mark.parametrize(("size", "output"), [((19, 17), (9, 8)), ((4, 4), (2, 2)), ((5, 5), (2, 2)), ((3, 3), (1, 1))])
def test_rounding_up_never_starts_a_window_in_the_padding(size: tuple[int, int], output: tuple[int, int]) -> None:
    """As PyTorch does with `ceil_mode`."""
    assert Window((3, 3), stride=(2, 2), ceil=True).output(size) == output


def test_formulas_show_their_numbers() -> None:
    """One when both axes agree, else one each."""
    window = Window((3, 2), (1, 2), (2, 1), (2, 1, 2, 1))

    assert window.formulas((10, 10)) == (
        "floor((10+2+2-2*(3-1)-1)/1)+1 = 10",
        "floor((10+1+1-1*(2-1)-1)/2)+1 = 6",
    )
    assert Window((3, 3), ceil=True, stride=(2, 2)).formulas((4, 4)) == ("ceil((4+0+0-1*(3-1)-1)/2)+1 = 2",)
