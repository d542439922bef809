"""Augmentation of whole batches of pixels, in torch.

Each augmentation draws its numbers for the global batch first and applies them to a slice of it, so that every
process of a data-parallel run transforms an image as a single process would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from model.recipe import Affine, Augmentation, Brightness, Crop, Erase, Flip

FILL = {"zeros": "constant", "border": "replicate", "reflection": "reflect"}


def augment(
    pixels: Tensor, steps: Sequence[Augmentation], generator: torch.Generator, total: int, start: int
) -> Tensor:
    """Transform float pixels in 0..255, [n, channels, height, width], by all `steps` in order.

    They are the images from `start` on of a global batch of `total`, for which `generator` yields the random numbers.
    """
    rows = slice(start, start + len(pixels))
    for step in steps:
        match step:
            case Affine():
                pixels = affine(pixels, step, _draw(generator, total, 6)[rows], _noise(generator, total, step)[rows])
            case Flip():
                pixels = flip(pixels, _draw(generator, total, 1)[rows, 0] < step.probability)
            case Crop():
                pixels = crop(pixels, step, _draw(generator, total, 2)[rows])
            case Erase():
                noise = torch.rand((total, *pixels.shape[1:]), generator=generator)[rows] * 255
                pixels = erase(pixels, step, _draw(generator, total, 5)[rows], noise)
            case Brightness():
                pixels = brighten(pixels, step, _draw(generator, total, 2)[rows])
    return pixels


def affine(pixels: Tensor, step: Affine, draws: Tensor, displacements: Tensor) -> Tensor:
    """Resample through random affine maps plus elastic displacements, bilinearly.

    `draws` is [n, 6] in 0..1; `displacements` [n, 2, cells, cells] of standard normals, x first.
    """
    height, width = pixels.shape[2:]
    centred = 2 * draws - 1
    angle = torch.deg2rad(centred[:, 0] * step.rotate)
    shear = torch.tan(torch.deg2rad(centred[:, 1] * step.shear))
    scale_x, scale_y = 1 + centred[:, 2] * step.scale, 1 + centred[:, 3] * step.scale
    cos, sin = angle.cos(), angle.sin()
    aspect = height / width  # rotation is in pixels, the sampling grid in -1..1 of each axis
    theta = torch.stack(
        (
            torch.stack(
                (cos * scale_x, (shear * cos - sin) * scale_y * aspect, centred[:, 4] * 2 * step.shift / width), 1
            ),
            torch.stack(
                (sin * scale_x / aspect, (shear * sin + cos) * scale_y, centred[:, 5] * 2 * step.shift / height), 1
            ),
        ),
        1,
    )
    grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    if step.elastic > 0:
        smooth = functional.interpolate(displacements, (height, width), mode="bicubic", align_corners=True)
        per_pixel = torch.tensor([2 * step.elastic / width, 2 * step.elastic / height]).view(1, 2, 1, 1)
        grid = grid + (smooth * per_pixel).permute(0, 2, 3, 1)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode=step.fill, align_corners=False)


def flip(pixels: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the `chosen` images, a boolean [n], left to right."""
    return torch.where(chosen.view(-1, 1, 1, 1), pixels.flip(3), pixels)


def crop(pixels: Tensor, step: Crop, draws: Tensor) -> Tensor:
    """Shift by whole pixels up to `step.pixels` each way, the rim filled. `draws` is [n, 2] in 0..1."""
    count, channels, height, width = pixels.shape
    padded = functional.pad(pixels, [step.pixels] * 4, mode=FILL[step.fill])
    offsets = (draws * (2 * step.pixels + 1)).long()
    rows = offsets[:, :1] + torch.arange(height)
    columns = offsets[:, 1:] + torch.arange(width)
    images = torch.arange(count).view(-1, 1, 1, 1)
    return padded[images, torch.arange(channels).view(1, -1, 1, 1), rows[:, None, :, None], columns[:, None, None, :]]


def erase(pixels: Tensor, step: Erase, draws: Tensor, noise: Tensor) -> Tensor:
    """Replace a random box in some images by `noise`, of the shape of `pixels`. `draws` is [n, 5] in 0..1."""
    height, width = pixels.shape[2:]
    low, high = step.area
    area = (low + draws[:, 1] * (high - low)) * height * width
    ratio = torch.exp((2 * draws[:, 2] - 1) * math.log(step.aspect))
    box_height = (area * ratio).sqrt().round().clamp(1, height)
    box_width = (area / ratio).sqrt().round().clamp(1, width)
    top = (draws[:, 3] * (height - box_height + 1)).floor()
    left = (draws[:, 4] * (width - box_width + 1)).floor()
    inside_rows = _between(torch.arange(height), top, top + box_height)
    inside_columns = _between(torch.arange(width), left, left + box_width)
    chosen = (draws[:, 0] < step.probability).view(-1, 1, 1)
    box = chosen & inside_rows[:, :, None] & inside_columns[:, None, :]
    return torch.where(box[:, None], noise, pixels)


def brighten(pixels: Tensor, step: Brightness, draws: Tensor) -> Tensor:
    """Jitter contrast and brightness per image. `draws` is [n, 2] in 0..1."""
    gain, offset = (2 * draws - 1).view(-1, 2, 1, 1, 1).unbind(1)
    return (pixels * (1 + gain * step.contrast) + 255 * offset * step.brightness).clamp(0, 255)


def _between(positions: Tensor, first: Tensor, end: Tensor) -> Tensor:
    return (positions >= first[:, None]) & (positions < end[:, None])


def _draw(generator: torch.Generator, total: int, numbers: int) -> Tensor:
    return torch.rand((total, numbers), generator=generator)


def _noise(generator: torch.Generator, total: int, step: Affine) -> Tensor:
    cells = step.cells if step.elastic > 0 else 0
    return torch.randn((total, 2, cells, cells), generator=generator)
