"""A report as one HTML file that needs nothing else: pictures are inside, there is no script."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from service.core.image import Header, Limits, inspect
from service.core.messages import Prediction

#: Pictures of fewer pixels a side are shown pixel by pixel.
_SMALL = 128


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: a heading, facts under it, and a PNG with the text that stands for it."""

    title: str
    facts: Sequence[tuple[str, str]]
    png: bytes = field(repr=False)
    alt: str = ""

    @property
    def anchor(self) -> str:
        """What links to it."""
        return re.sub(r"[^A-Za-z0-9_.-]", "-", self.title)


@dataclass(frozen=True, slots=True)
class Report:
    """What was asked about which picture, and what came out. `picture` are its encoded bytes."""

    title: str
    picture: bytes = field(repr=False)
    facts: Sequence[tuple[str, str]]
    predictions: Sequence[Prediction]
    columns: Sequence[str]
    rows: Sequence[tuple[Section, Sequence[str]]]

    def html(self) -> str:
        """The whole page."""
        page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
            files("service.commands").joinpath("report.html").read_text("utf-8")
        )
        header = inspect(self.picture, Limits())
        is_small = max(header.width, header.height) < _SMALL
        return page.render(report=self, png=_png, picture=_embedded(self.picture, header), is_small=is_small)


def safe_name(id: str) -> str:
    """A layer's id as a file's name: what a file system may not take is "_"."""
    return re.sub(r"[^A-Za-z0-9_.#-]", "_", id)


def write(folder: Path, name: str, data: bytes) -> Path:
    """A file in a folder that is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def _png(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _embedded(picture: bytes, header: Header) -> str:
    return f"data:image/{header.format.lower()};base64,{base64.b64encode(picture).decode()}"
