"""`vitrine replay`: a logged request once more, with what the layers see in its picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.table import Table

from service.client import FeatureMaps, LoggedPrediction, Picture, Prediction
from service.commands import asking, facts, terminal
from service.commands.report import safe_name, write


def run(server: str, id: str, layers: Sequence[str], out: Path | None) -> bool:
    """Print what was answered, and what the same file answers now; with `out`, write the feature maps there.

    False when it cannot be replayed: the reason is printed.
    """
    console = terminal.lines()
    with asking.client(server) as client:
        logged = client.prediction(id)
        console.print(_then(logged))
        if logged.obstacle or logged.answer is None:
            console.print(f"cannot be replayed: {logged.obstacle}")
            return False
        picture = Picture(id=logged.picture_id)
        maps = client.features(layers or "**", picture, model=logged.model, version=logged.served_version)
    now = maps.header.pictures[0].predictions
    console.print(f"now:  {_said(now)}, by {facts.model(maps.header)}; {_apart(logged.answer.predictions, now)}")
    console.print(facts.parity(maps.end.parity))
    console.print(_table(maps))
    if out:
        _save(maps, out)
        console.print(f"{len(maps)} layers in {out}")
    return True


def _then(logged: LoggedPrediction) -> str:
    at = datetime.fromtimestamp(logged.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    said = _said(logged.answer.predictions) if logged.answer else logged.error
    return f"then: {said}, by {logged.model}:{logged.version} for {logged.caller} at {at}"


def _said(predictions: Sequence[Prediction]) -> str:
    return f"{predictions[0].label} ({predictions[0].score:.2%})" if predictions else "nothing that scored enough"


def _apart(then: Sequence[Prediction], now: Sequence[Prediction]) -> str:
    scores = {each.index: each.score for each in now}
    apart = max((abs(each.score - scores[each.index]) for each in then if each.index in scores), default=0.0)
    return f"scores differ by {apart:.2g} at most"


def _table(maps: FeatureMaps) -> Table:
    table = terminal.table("layer", "output", "min", "mean", "max", "zeros")
    for layer, values in maps.items():
        numbers = (f"{number:.4g}" for number in (values.min(), values.mean(), values.max()))
        table.add_row(layer, " x ".join(map(str, values.shape)), *numbers, f"{np.mean(values == 0):.1%}")
    return table


def _save(maps: FeatureMaps, out: Path) -> None:
    for layer, values in maps.items():
        file = io.BytesIO()
        np.save(file, values)
        write(out, f"{safe_name(layer)}.npy", file.getvalue())
