"""Pictures of one brightness, for an engine that tells light from dark."""

from __future__ import annotations

import io

from PIL import Image


def png(brightness: int) -> bytes:
    """A grey 2x2 PNG."""
    file = io.BytesIO()
    Image.new("L", (2, 2), brightness).save(file, "PNG")
    return file.getvalue()


DARK, LIGHT = png(0), png(200)
