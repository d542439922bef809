"""Looking into models that workers serve elsewhere: their files are mounted here, and loaded when somebody looks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from service.core.errors import Refused
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.core.status import ModelStatus
from service.engine.taps import TapSource
from service.introspect.tapping import Subject

#: Engines that are kept: one is looked into for a while, and perhaps compared with another.
_KEEP = 2


class Mounted:
    """Finds what to look into. Thread-safe; `subject` blocks while a model is loaded.

    `served(model, version)` is what workers announce; `open_engine` loads a version from the files here, and `read`
    gives the model file with the digest asked for.
    """

    def __init__(
        self,
        served: Callable[[str, int], ModelStatus],
        open_engine: Callable[[ModelKey], Engine],
        read: Callable[[ModelKey, str], bytes],
    ) -> None:
        self._served = served
        self._open_engine = open_engine
        self._read = read
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._loading = threading.Lock()

    def subject(self, name: str, version: int) -> Subject:
        """The version asked for, 0 for the latest. Raises `NoSuchModel`, `NotReady`, `Refused` or `EngineFailed`."""
        status = self._served(name, version)
        engine = self._engine(status)
        source = TapSource(engine.digest, engine.tuning.chosen, lambda: self._read(status.key, engine.digest))
        return Subject(status.key, engine, source)

    def _engine(self, status: ModelStatus) -> Engine:
        with self._loading:
            if status.digest not in self._engines:
                self._engines[status.digest] = self._load(status)
            self._engines.move_to_end(status.digest)
            while len(self._engines) > _KEEP:
                self._engines.popitem(last=False)  # whoever still looks into it keeps it alive
            return self._engines[status.digest]

    def _load(self, status: ModelStatus) -> Engine:
        engine = self._open_engine(status.key)
        if engine.digest != status.digest:
            engine.close()
            raise Refused(f"{status.key}: the file mounted here is not the one that workers serve")
        return engine
