"""Routings in a YAML file, which people may edit while the server runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from service.core.errors import InvalidInput, Refused
from service.core.routing import Record, from_plain, to_plain

_HEAD = "# Which versions answer whom, by model. May be edited while the server runs; `vitrine route` edits it too.\n"


class RoutingFile:
    """One file, replaced as a whole; read again when it has changed.

    A routing that somebody wrote into it becomes the next one of its model: what it replaced can be gone back to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._known: Mapping[str, Record] = {}

    async def load(self) -> Mapping[str, Record]:
        """What the file says; nothing while there is none. Raises `InvalidInput` naming file and field."""
        return await asyncio.to_thread(self._load)

    async def save(self, model: str, before: Record, after: Record) -> None:
        """Replace one model's record by writing the file anew. Raises `Refused`."""
        await asyncio.to_thread(self._save, model, before, after)

    def _load(self) -> Mapping[str, Record]:
        stamp = self._changed()
        if stamp != self._stamp:
            found = self._read() if stamp else {}
            self._known = {model: self._continued(model, found.get(model)) for model in {**found, **self._known}}
            self._stamp = stamp
        return self._known

    def _changed(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise InvalidInput("routing_file", f"must be readable ({error.strerror})", self._path) from None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read(self) -> Mapping[str, Record]:
        try:
            plain = yaml.safe_load(self._path.read_text()) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InvalidInput("routing_file", f"{self._path} must be YAML", error) from None
        if not isinstance(plain, dict):
            raise InvalidInput("routing_file", f"{self._path} must hold models by name", type(plain).__name__)
        return {str(model): from_plain(value or {}, f"{self._path}: {model}") for model, value in plain.items()}

    def _continued(self, model: str, found: Record | None) -> Record:
        """What the file says of a model, as the next step after what was known where a person wrote it."""
        known, found = self._known.get(model, Record()), found or Record()
        if found.revision > known.revision or found.routing == known.routing:
            return max(found, known, key=lambda record: record.revision)
        return known.then(found.routing)

    def _save(self, model: str, before: Record, after: Record) -> None:
        records = self._load()
        if records.get(model, Record()) != before:
            raise Refused(f"routing: that of {model!r} was changed in the file meanwhile")
        text = _HEAD + yaml.safe_dump({name: to_plain(each) for name, each in {**records, model: after}.items()})
        hidden = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with hidden.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            hidden.replace(self._path)
        except OSError as error:
            raise Refused(f"routing: cannot be kept in {self._path}: {error.strerror}; see routing_file") from None
        self._known = {**records, model: after}
        self._stamp = self._changed()
