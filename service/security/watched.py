"""Files whose contents may change while the server runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from service.core.errors import InvalidInput

Value = TypeVar("Value")
_LOOK_S = 1.0

_log = structlog.get_logger("vitrine.security")


class Renewed(Generic[Value]):
    """What `make` makes of files, made anew when one of them has changed.

    What cannot be read, half-written files most often, is logged and tried again at the next look; until then the
    `value` before goes on. `field` names the setting in errors. Raises `InvalidInput` when it cannot be made at first.
    """

    def __init__(self, field: str, paths: Sequence[Path], make: Callable[[], Value]) -> None:
        self._field = field
        self._paths = paths
        self._make = make
        self._stamp = self._changed()
        self._told = ""
        self.value = make()

    def look(self) -> bool:
        """Look at the files; whether there is a new value."""
        try:
            stamp = self._changed()
            if stamp == self._stamp:
                return False
            self.value = self._make()
        except InvalidInput as error:
            self._tell(str(error))
            return False
        self._stamp, self._told = stamp, ""
        _log.info("read again", setting=self._field, files=[str(path) for path in self._paths])
        return True

    def _tell(self, reason: str) -> None:
        """Once, however often it is looked at."""
        if reason != self._told:
            self._told = reason
            _log.error("not read again, going on with what was read before", setting=self._field, reason=reason)

    def _changed(self) -> list[tuple[int, int]]:
        """Something that changes when a file does."""
        return [self._stat(path) for path in self._paths]

    def _stat(self, path: Path) -> tuple[int, int]:
        try:
            found = path.stat()
        except OSError as error:
            raise InvalidInput(self._field, f"must be a readable file ({error.strerror})", path) from None
        return found.st_mtime_ns, found.st_ino


class Watched(Generic[Value]):
    """What `parse` makes of a file's text, made anew when the file changes: looked for at most once a second."""

    def __init__(
        self, field: str, path: Path, parse: Callable[[str], Value], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._looked = now()
        self._renewed = Renewed(field, [path], partial(_parsed, field, path, parse))

    def value(self) -> Value:
        """The newest value that could be read."""
        if self._now() - self._looked >= _LOOK_S:
            self._looked = self._now()
            self._renewed.look()
        return self._renewed.value


def _parsed(field: str, path: Path, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(field, f"must be a readable text file ({error})", path) from None
