"""A file whose contents may change while the server runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from service.core.errors import InvalidInput

Value = TypeVar("Value")
_LOOK_S = 1.0

_log = structlog.get_logger("vitrine.security")


class Watched(Generic[Value]):
    """What `parse` makes of a file's text, made anew when the file changes: looked for at most once a second.

    A change that cannot be parsed is logged, and what was read before goes on. `field` names the setting in errors.
    """

    def __init__(
        self, field: str, path: Path, parse: Callable[[str], Value], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._field = field
        self._path = path
        self._parse = parse
        self._now = now
        self._looked = now()
        self._stamp = self._changed()
        self._value = self._read()

    def value(self) -> Value:
        """The newest value that could be read."""
        if self._now() - self._looked >= _LOOK_S:
            self._looked = self._now()
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            stamp = self._changed()
            if stamp != self._stamp:
                self._stamp = stamp
                self._value = self._read()
                _log.info("read again", setting=self._field, file=str(self._path))
        except InvalidInput as error:
            _log.error("not read again, going on with what was read before", setting=self._field, reason=str(error))

    def _changed(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise InvalidInput(self._field, f"must be a readable file ({error.strerror})", self._path) from None
        return found.st_mtime_ns, found.st_ino

    def _read(self) -> Value:
        try:
            return self._parse(self._path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(self._field, f"must be a readable text file ({error})", self._path) from None
