"""`vitrine features`: what layers saw in a picture, as PNG sheets, NumPy files or one HTML report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from service.client import AsyncClient, LayerMaps
from service.commands import asking, facts, terminal
from service.commands.progress import BAR, bar
from service.commands.report import Report, Section, safe_name, write
from service.commands.sheets import number, sheet
from service.core.encodings import Encoding, Kind
from service.core.graph import Array
from service.core.introspection import Kernels, MapsRequest, Picture, RunEnd, RunHeader
from service.core.layers import Selector
from service.core.maps import Key, TopK, Wanted
from service.core.statistics import Statistics

Format = Literal["png", "npy", "html"]

#: Channels of one layer that a picture shows when nothing else is asked.
SHOWN = 64
_COLUMNS = ("layer", "class", "output", "field", "MACs", "min", "mean", "max", "zeros")


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask of whom about which picture, and where it goes. `channels` 0 is all of a layer's."""

    server: str
    model: str
    version: int
    layers: Sequence[str]
    image: Path
    form: Format
    out: Path
    channels: int
    kernels: Kernels
    timeout_s: float


def run(job: Job) -> None:
    """Ask, write the files, and say where they are. Raises `ServiceError`, or `OSError` for files."""
    asyncio.run(_run(job))


async def _run(job: Job) -> None:
    console, errors = terminal.lines(), terminal.notes()
    picture = job.image.read_bytes()
    sections: list[tuple[LayerMaps, Section]] = []

    def take(maps: LayerMaps) -> None:
        if job.form == "npy":
            console.print(_numbers(job, maps))
        elif job.form == "png":
            console.print(_sheet(job, maps, whole[maps.id]))
        else:
            sections.append((maps, _section(maps, whole[maps.id])))

    async with AsyncClient(job.server, timeout_s=job.timeout_s, retry=asking.AT_ONCE) as client:
        # Of whole layers: beside the maps, statistics would be those of the channels that are shown.
        whole = await _statistics(client, job, picture)
        header, end = await _ask(client, job, picture, errors, take)
    if job.form == "html":
        page = _report(job, picture, header, end, sections).html()
        console.print(str(write(job.out, f"{safe_name(job.image.stem)}-{header.key.name}.html", page.encode())))
    best = header.pictures[0].predictions[0]
    console.print(f"{facts.model(header)} says {best.label} ({best.score:.2%}); {facts.parity(end.parity)}")
    took = f"sessions {end.build_s:.2f} s, maps {end.compute_s:.2f} s"
    console.print(f"{header.layers} layers, {end.sent_bytes / 1e6:.2f} MB; {took}")


async def _statistics(client: AsyncClient, job: Job, picture: bytes) -> dict[str, Statistics]:
    """Of every layer, by its id; of none where no picture needs them."""
    if job.form == "npy":
        return {}
    request = replace(_request(job, picture), wanted=Wanted(), encoding=Encoding())
    parts = [part async for part in client.maps(request)]
    return {part.id: part.header.statistics for part in parts if isinstance(part, LayerMaps) and part.header.statistics}


async def _ask(
    client: AsyncClient, job: Job, picture: bytes, errors: Console, take: Callable[[LayerMaps], None]
) -> tuple[RunHeader, RunEnd]:
    """Hand each layer to `take` as it comes."""
    header = end = None
    with bar(errors) as progress:
        async for part in client.maps(_request(job, picture)):
            match part:
                case RunHeader():
                    header = part
                    progress.update(BAR, total=part.layers)
                case LayerMaps():
                    take(part)
                    progress.advance(BAR)
                case RunEnd():
                    end = part
    assert header is not None
    assert end is not None
    return header, end


def _request(job: Job, picture: bytes) -> MapsRequest:
    channels = TopK(job.channels, Key.L2) if job.channels else None
    return MapsRequest(
        model=job.model,
        version=job.version,
        pictures=(Picture(picture, keep=False),),
        layers=Selector(tuple(job.layers)),
        wanted=Wanted(channels=channels),
        encoding=Encoding(Kind.NPY if job.form == "npy" else Kind.FLOAT32),
        kernels=job.kernels,
    )


def _numbers(job: Job, maps: LayerMaps) -> str:
    """Write one layer as a NumPy file, and say what was written."""
    path = write(job.out, f"{safe_name(maps.id)}.npy", maps.data)
    shape = ", ".join(str(size) for size in (1, *maps.values.shape))
    return f"{path}  [{shape}] {maps.values.dtype}"


def _sheet(job: Job, maps: LayerMaps, whole: Statistics) -> str:
    """Write one layer as a picture, and say what was written."""
    layer = maps.header.layer
    lines = (maps.id, facts.sentence(facts.about(layer)), facts.sentence(facts.seen(whole)), *_left_out(maps))
    path = write(job.out, f"{safe_name(maps.id)}.png", sheet(*in_order(maps), lines))
    return f"{path}  {facts.shape(layer)}"


def in_order(maps: LayerMaps) -> tuple[Array, list[str]]:
    """The maps by rising channel, and each one's number."""
    order = np.argsort(maps.header.channels)
    return maps.values[order], [str(maps.header.channels[index]) for index in order]


def _left_out(maps: LayerMaps) -> tuple[str, ...]:
    shown, there = len(maps.header.channels), maps.header.layer.type.shape[0]
    return (f"the {shown} of {there} channels with the largest L2 norm",) if shown < there else ()


def _section(maps: LayerMaps, whole: Statistics) -> Section:
    values, labels = in_order(maps)
    left_out = [("shown", line) for line in _left_out(maps)]
    known = [*facts.about(maps.header.layer), *facts.seen(whole), *left_out]
    alt = f"{len(labels)} maps of layer {maps.id}, from {number(whole.min)} to {number(whole.max)}"
    return Section(maps.id, known, sheet(values, labels), alt)


def _report(
    job: Job, picture: bytes, header: RunHeader, end: RunEnd, sections: Sequence[tuple[LayerMaps, Section]]
) -> Report:
    known = [
        ("model", facts.model(header)),
        ("file", header.digest[:16]),
        ("layers", str(header.layers)),
        ("kernels", job.kernels.value),
        ("parity", facts.parity(end.parity)),
    ]
    rows = [(section, _row(maps, dict(section.facts))) for maps, section in sections]
    title = f"What {facts.model(header)} saw in {job.image.name}"
    return Report(title, picture, known, header.pictures[0].predictions, _COLUMNS, rows)


def _row(maps: LayerMaps, known: dict[str, str]) -> list[str]:
    layer = maps.header.layer
    fixed = [layer.class_name, facts.shape(layer), facts.field(layer), facts.count(layer.macs)]
    return [*fixed, *(known[name] for name in ("min", "mean", "max", "zeros"))]
