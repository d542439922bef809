from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.augment import affine, augment, brighten, crop, erase, flip
from model.recipe import Affine, Augmentation, Brightness, Crop, Erase, Flip

NONE = torch.zeros(1, 2, 0, 0)

EVERY: tuple[Augmentation, ...] = (
    Affine("affine", rotate=20, scale=0.2, shear=10, shift=2, elastic=1.0),
    Flip("flip"),
    Crop("crop", pixels=2),
    Erase("erase", probability=0.7),
    Brightness("brightness", brightness=0.1, contrast=0.3),
)


@pytest.fixture
def pixels() -> Tensor:
    """Eight colour pictures, higher than wide."""
    return torch.rand(8, 3, 12, 10, generator=torch.Generator().manual_seed(1)) * 255


def draws(**changes: float) -> Tensor:
    """One row of affine draws in the order rotate, shear, scale x, scale y, shift x, shift y; 0.5 is no change."""
    names = ("rotate", "shear", "scale_x", "scale_y", "shift_x", "shift_y")
    return torch.tensor([[changes.get(name, 0.5) for name in names]])


def test_the_middle_of_every_range_changes_nothing(pixels: Tensor) -> None:
    """Draws of one half are the identity, whatever the ranges."""
    step = Affine("affine", rotate=30, scale=0.5, shear=20, shift=5)

    same = affine(pixels[:1], step, draws(), NONE)
    assert torch.allclose(pixels[:1], same, atol=1e-3)


def test_a_shift_is_in_pixels(pixels: Tensor) -> None:
    """The largest draw moves the picture by `shift` pixels, zeros coming in."""
    moved = affine(pixels[:1], Affine("affine", shift=2), draws(shift_x=1.0), NONE)

    assert torch.allclose(pixels[:1, :, :, 2:], moved[:, :, :, :-2], atol=1e-3)
    assert moved[:, :, :, -2:].abs().max() < 1e-3


def test_a_rotation_keeps_its_shape_on_a_picture_that_is_not_square() -> None:
    """A quarter turn about the centre is exact: rotation is in pixels, not in shares of each side."""
    picture = torch.zeros(1, 1, 16, 10)
    picture[:, :, 4:12, 1:9] = torch.rand(8, 8) * 255

    turned = affine(picture, Affine("affine", rotate=90), draws(rotate=1.0), NONE)
    assert torch.allclose(picture[:, :, 4:12, 1:9].rot90(1, (2, 3)), turned[:, :, 4:12, 1:9], atol=1e-2)


def test_an_elastic_displacement_is_in_pixels() -> None:
    """A displacement of one everywhere is a shift by `elastic` pixels."""
    ramp = torch.arange(10.0).view(1, 1, 1, 10).expand(1, 1, 6, 10)
    ones = torch.stack((torch.ones(1, 4, 4), torch.zeros(1, 4, 4)), 1)

    moved = affine(ramp, Affine("affine", elastic=1.5, fill="border"), draws(), ones)
    assert torch.allclose(ramp[:, :, :, :8] + 1.5, moved[:, :, :, :8], atol=1e-3)


def test_a_flip_mirrors_the_chosen_only(pixels: Tensor) -> None:
    """Mirrored left to right where chosen, untouched elsewhere."""
    flipped = flip(pixels[:2], torch.tensor([True, False]))

    assert torch.equal(pixels[0].flip(2), flipped[0])
    assert torch.equal(pixels[1], flipped[1])


def test_a_crop_shifts_by_whole_pixels(pixels: Tensor) -> None:
    """The lowest draw shows the padding above and left of the picture, the highest that below and right."""
    shifted = crop(pixels[:2], Crop("crop", pixels=2), torch.tensor([[0.0, 0.0], [0.999, 0.999]]))

    assert torch.equal(pixels[0, :, :-2, :-2], shifted[0, :, 2:, 2:])
    assert torch.equal(pixels[1, :, 2:, 2:], shifted[1, :, :-2, :-2])
    assert shifted[0, :, :2].abs().max() == 0


def test_erasing_puts_noise_into_a_box_of_the_drawn_area(pixels: Tensor) -> None:
    """Of 120 pixels, 0.21 at aspect 1 is a box of 5 x 5; pictures not chosen stay."""
    step = Erase("erase", probability=0.5, area=(0.2, 0.22), aspect=1.0)
    noise = torch.full_like(pixels[:2], -1.0)

    erased = erase(pixels[:2], step, torch.tensor([[0.4, 0.5, 0.5, 0.0, 0.999], [0.6, 0.5, 0.5, 0.0, 0.0]]), noise)
    box = erased[0] == -1
    assert box.sum(dim=(1, 2)).tolist() == [25, 25, 25]
    assert box[:, :5, 5:].all()
    assert torch.equal(pixels[1], erased[1])


def test_brightness_stays_within_the_range_of_pixels(pixels: Tensor) -> None:
    """The highest draws brighten and clip at 255; one half changes nothing."""
    step = Brightness("brightness", brightness=0.2, contrast=0.5)

    assert torch.allclose(pixels[:1], brighten(pixels[:1], step, torch.tensor([[0.5, 0.5]])))
    bright = brighten(pixels[:1], step, torch.tensor([[1.0, 1.0]]))
    assert torch.allclose((pixels[:1] * 1.5 + 51).clamp(max=255), bright, atol=1e-3)


@pytest.mark.parametrize("step", EVERY, ids=lambda step: step.type)
def test_a_slice_of_the_batch_is_transformed_as_in_the_whole(step: Augmentation, pixels: Tensor) -> None:
    """A process that holds images 4..7 of a global batch of 8 makes of them what a single process would."""
    whole = augment(pixels, (step,), torch.Generator().manual_seed(5), total=8, start=0)
    part = augment(pixels[4:], (step,), torch.Generator().manual_seed(5), total=8, start=4)

    assert torch.equal(whole[4:], part)
    assert not torch.equal(pixels, whole)
