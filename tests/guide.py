"""The worked example, `guide`: pictures for it, and what it gives for them."""

from __future__ import annotations

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo


def png(pixels: bytes, padding: int = 0) -> bytes:
    """A grayscale picture of 3 x 3, with some characters of text that make it larger."""
    file, info = io.BytesIO(), PngInfo()
    if padding:
        info.add_text("padding", "x" * padding)
    Image.frombytes("L", (3, 3), pixels).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def convolved(pixels: bytes) -> tuple[float, ...]:
    """The 2 x 2 kernel 0 1 / 2 3 at the four corners."""
    return tuple(float(pixels[at + 1] + 2 * pixels[at + 3] + 3 * pixels[at + 4]) for at in (0, 1, 3, 4))


#: The guide's own picture: pixels 0 to 8.
NINE = png(bytes(range(9)))
