"""Where results of jobs go: JSON lines, CSV or Parquet, by the name of the file."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TextIO

from service.client.values import Result
from service.commands.classify import UNPRINTABLE
from service.commands.writers import entry, writer
from service.core.errors import InvalidInput, Refused

#: Columns of CSV for further classes beside the best one.
_TOP = 5
#: Rows of Parquet that are written at once.
_ROWS = 4096


class Sink(Protocol):
    """Takes results one by one."""

    def write(self, result: Result) -> None:
        """Take one."""

    def close(self) -> None:
        """That was all."""


def sink(out: Path | None) -> Sink:
    """What writes to `out`, which is emptied, or JSON lines to stdout.

    Raises `InvalidInput` for a name that ends with none of these formats, `Refused` where pyarrow is missing.
    """
    suffix = out.suffix.lower() if out else ".jsonl"
    if suffix not in {".jsonl", ".csv", ".parquet"}:
        raise InvalidInput("out", "a file that ends with .jsonl, .csv or .parquet", out)
    if out is not None and suffix == ".parquet":
        return _Parquet(out)
    target = sys.stdout if out is None else out.open("w", encoding="utf-8", errors=UNPRINTABLE, newline="")
    return _Lines("csv" if suffix == ".csv" else "jsonl", target)


class _Lines:
    """Text, a line for each result."""

    def __init__(self, form: Any, out: TextIO) -> None:
        self._out = out
        self.write = writer(form, out, _TOP)

    def close(self) -> None:
        if self._out is not sys.stdout:
            self._out.close()


class _Parquet:
    """Rows of the fields that JSON lines have."""

    def __init__(self, out: Path) -> None:
        if find_spec("pyarrow") is None:
            raise Refused(
                "out: Parquet is written by pyarrow: pip install 'vitrine[parquet]'; or end with .jsonl, .csv"
            )
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - likewise

        prediction = pa.struct([("label", pa.string()), ("index", pa.int32()), ("score", pa.float32())])
        self._pa = pa
        self._schema = pa.schema(
            [
                ("input", pa.string()),
                ("label", pa.string()),
                ("index", pa.int32()),
                ("score", pa.float32()),
                ("predictions", pa.list_(prediction)),
                ("error", pa.string()),
                ("model", pa.string()),
                ("version", pa.int32()),
            ]
        )
        self._writer = parquet.ParquetWriter(out, self._schema)
        self._rows: list[dict[str, object]] = []

    def write(self, result: Result) -> None:
        self._rows.append(entry(result))
        if len(self._rows) == _ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(self._pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()
