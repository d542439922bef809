"""Sliding windows and receptive fields: pure arithmetic on sizes, for recipes and for graphs.

Follows Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), and for receptive fields
Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Size = tuple[int, int]  #: (height, width)
Sides = tuple[int, int, int, int]  #: (top, left, bottom, right)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels or units: rows y0 to y1, columns x0 to x1, the ends not included."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def size(self) -> Size:
        """Height and width."""
        return (self.y1 - self.y0, self.x1 - self.x0)

    def clipped(self, size: Size) -> Box:
        """What of it lies in a picture of `size`."""
        return Box(
            *(min(max(low, 0), limit) for low, limit in zip((self.y0, self.x0), size, strict=True)),
            *(min(max(high, 0), limit) for high, limit in zip((self.y1, self.x1), size, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: a convolution's kernel or a pool's. `ceil` rounds the output size up, as some pools do."""

    kernel: Size
    stride: Size = (1, 1)
    dilation: Size = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    ceil: bool = False

    def span(self, axis: int) -> int:
        """Input positions from the first to the last tap, both included."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def padded(self, size: Size, axis: int) -> int:
        """Input positions with padding."""
        return size[axis] + self.padding[axis] + self.padding[axis + 2]

    def output(self, size: Size) -> Size:
        """Output size; 0 or less where the dilated kernel is larger than the padded input."""
        return pair(self._steps(size, axis) + 1 for axis in (0, 1))

    def formula(self, size: Size, axis: int) -> str:
        """The output size of one axis with its numbers filled in: floor((n+p+p-d*(k-1)-1)/s)+1 = result."""
        before, after = self.padding[axis], self.padding[axis + 2]
        inner = f"{size[axis]}+{before}+{after}-{self.dilation[axis]}*({self.kernel[axis]}-1)-1"
        rounding = "ceil" if self.ceil else "floor"
        return f"{rounding}(({inner})/{self.stride[axis]})+1 = {self.output(size)[axis]}"

    def formulas(self, size: Size) -> tuple[str, ...]:
        """The formula of each axis; one if both read alike."""
        both = (self.formula(size, 0), self.formula(size, 1))
        return both[:1] if both[0] == both[1] else both

    def _steps(self, size: Size, axis: int) -> int:
        room, stride = self.padded(size, axis) - self.span(axis), self.stride[axis]
        if not self.ceil:
            return room // stride
        steps = -(-room // stride)
        # A window that would start in the padding behind the input is dropped (PyTorch and ONNX agree on that).
        return steps - (steps * stride >= size[axis] + self.padding[axis])


@dataclass(frozen=True, slots=True)
class Field:
    """Receptive field, per axis (height, width), in input pixels.

    Unit `i` sees the pixels from `start + i * jump` on, `size` of them; those below 0 or past the input are padding.
    A `jump` of 0 says that every unit sees the same pixels.
    """

    size: Size = (1, 1)
    jump: Size = (1, 1)
    start: Size = (0, 0)

    def through(self, window: Window) -> Field:
        """The field after one more window."""
        return Field(
            pair(self.size[axis] + (window.span(axis) - 1) * self.jump[axis] for axis in (0, 1)),
            pair(self.jump[axis] * window.stride[axis] for axis in (0, 1)),
            pair(self.start[axis] - window.padding[axis] * self.jump[axis] for axis in (0, 1)),
        )

    def union(self, other: Field, grid: Size) -> Field:
        """The hull of two fields, for an element-wise operation on maps that give one of `grid` units.

        Where the units of the two do not step alike, no one step fits, and the hull of all units stands for each.
        """
        axes = [_hull(axis_of(self, axis), axis_of(other, axis), grid[axis]) for axis in (0, 1)]
        return Field(*(pair(values) for values in zip(*axes, strict=True)))

    def whole(self, grid: Size) -> Field:
        """The field of something that sees all units of a map of `grid` units."""
        size = pair(self.size[axis] + (grid[axis] - 1) * self.jump[axis] for axis in (0, 1))
        return Field(size, (0, 0), self.start)

    def of(self, y: int, x: int) -> Box:
        """The pixels that one unit sees, padding included."""
        top, left = (self.start[axis] + at * self.jump[axis] for axis, at in enumerate((y, x)))
        return Box(top, left, top + self.size[0], left + self.size[1])

    def units(self, pixels: Box, grid: Size) -> Box:
        """The units, out of `grid`, that see any of the `pixels`."""
        rows = _seeing(axis_of(self, 0), (pixels.y0, pixels.y1), grid[0])
        columns = _seeing(axis_of(self, 1), (pixels.x0, pixels.x1), grid[1])
        return Box(rows[0], columns[0], rows[1], columns[1])


_Axis = tuple[int, int, int]  # size, jump, start


def axis_of(field: Field, axis: int) -> _Axis:
    """Size, jump and start along one axis."""
    return field.size[axis], field.jump[axis], field.start[axis]


def _hull(one: _Axis, two: _Axis, units: int) -> _Axis:
    if one[1] != two[1]:
        one, two = ((size + (units - 1) * jump, 0, start) for size, jump, start in (one, two))
    start = min(one[2], two[2])
    return max(start_ + size for size, _, start_ in (one, two)) - start, one[1], start


def _seeing(axis: _Axis, pixels: Size, units: int) -> Size:
    """First unit and end of those that see any pixel from pixels[0] up to pixels[1], not included."""
    size, jump, start = axis
    if jump == 0:
        return (0, units) if start < pixels[1] and start + size > pixels[0] else (0, 0)
    first = -(-(pixels[0] - start - size + 1) // jump)
    last = (pixels[1] - 1 - start) // jump
    first, end = max(first, 0), min(last + 1, units)
    return (first, end) if first < end else (0, 0)


def same(window: Window, size: Size) -> Sides:
    """The padding that makes the output ceil(size / stride); an odd one goes to the bottom and right (SAME_UPPER)."""
    missing = [
        max((-(-size[axis] // window.stride[axis]) - 1) * window.stride[axis] + window.span(axis) - size[axis], 0)
        for axis in (0, 1)
    ]
    top, left = (total // 2 for total in missing)
    return (top, left, missing[0] - top, missing[1] - left)


def pair(values: Iterable[int]) -> Size:
    """Exactly two numbers: one per axis."""
    first, second = values
    return (first, second)
