"""Results as they are written: one line, or one block of a table, for every picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from typing import Literal, TextIO

from service.client.values import Result
from service.core.messages import Prediction

Format = Literal["table", "jsonl", "csv"]
Write = Callable[[Result], None]

LABEL_WIDTH = 32


def writer(form: Format, out: TextIO, top_k: int) -> Write:
    """What writes one result to `out`; a heading, where the format has one, is written at once."""
    return {"table": _table, "jsonl": _jsonl, "csv": _csv}[form](out, top_k)


def _jsonl(out: TextIO, _top_k: int) -> Write:
    def write(result: Result) -> None:
        out.write(json.dumps(entry(result), ensure_ascii=False) + "\n")

    return write


def _csv(out: TextIO, top_k: int) -> Write:
    """One row per picture: the best class first, the others in columns of their own."""
    rows = csv.writer(out, lineterminator="\n")
    others = [f"{column}_{rank}" for rank in range(2, top_k + 1) for column in ("label", "index", "score")]
    rows.writerow(["input", "error", "label", "index", "score", *others])

    def write(result: Result) -> None:
        cells = [cell for p in _predictions(result) for cell in (p.label, p.index, _score(p))]
        missing = [""] * (3 * top_k - len(cells))
        rows.writerow([str(result.image), str(result.error or ""), *cells, *missing])

    return write


def _table(out: TextIO, _top_k: int) -> Write:
    """Fixed columns, the picture last, so that nothing has to be known in advance; failures are on stderr."""
    out.write(f"{'score':>7}  {'label':{LABEL_WIDTH}}  picture\n")

    def write(result: Result) -> None:
        for rank, p in enumerate(_predictions(result)):
            name = "" if rank else str(result.image)
            out.write(f"{p.score:7.2%}  {p.label:{LABEL_WIDTH}}  {name}".rstrip() + "\n")

    return write


def entry(result: Result) -> dict[str, object]:
    """The fields of one JSON line."""
    predictions = _predictions(result)
    best = predictions[0] if predictions else None
    answer = result.answer
    return {
        "input": str(result.image),
        "label": best.label if best else None,
        "index": best.index if best else None,
        "score": _score(best) if best else None,
        "predictions": [{"label": p.label, "index": p.index, "score": _score(p)} for p in predictions],
        "error": str(result.error) if result.error else None,
        "model": answer.model.name if answer else None,
        "version": answer.model.version if answer else None,
    }


def _predictions(result: Result) -> Sequence[Prediction]:
    return result.answer.predictions if result.answer else ()


def _score(prediction: Prediction) -> float:
    """As many digits as a float32 has, not those of its double."""
    return float(f"{prediction.score:.7g}")
