"""The parameters that mean something; whatever else a client sends along is let pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.errors import InvalidInput, Unsupported
from service.core.messages import Priority
from service.oip.messages import Parameter

_PRIORITIES: Mapping[int, Priority] = {
    0: Priority.NORMAL,
    1: Priority.HIGH,
    2: Priority.NORMAL,
    3: Priority.BULK,
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request, an input or an output; `place` names it in messages."""

    place: str
    values: Mapping[str, Parameter]

    def timeout_us(self) -> int:
        """How long the request may take, in microseconds, 0 for no limit."""
        return self._integer("timeout", 0)

    def priority(self) -> Priority:
        """1 is the most urgent, 2 is usual and the default, 3 can wait."""
        level = self._integer("priority", 0)
        if level not in _PRIORITIES:
            raise InvalidInput(f"{self.place}.priority", "0 (the default, 2) to 3", level)
        return _PRIORITIES[level]

    def classes(self) -> int | None:
        """How many classes of an output are wanted instead of its numbers."""
        return self._integer("classification", 0) if "classification" in self.values else None

    def flag(self, name: str) -> bool | None:
        """A parameter that is true or false; None when it is not there."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidInput(f"{self.place}.{name}", "true or false", repr(value))
        return value

    def text(self, name: str) -> str:
        """A parameter that is text, "" when it is not there."""
        value = self.values.get(name, "")
        if not isinstance(value, str):
            raise InvalidInput(f"{self.place}.{name}", "text", repr(value))
        return value

    def refuse_shared_memory(self) -> None:
        """Raise `Unsupported` for a tensor that lies somewhere else."""
        if any(name.startswith("shared_memory_") for name in self.values):
            raise Unsupported(f"{self.place}: shared memory is not offered; send the tensor in the request")

    def _integer(self, name: str, default: int) -> int:
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidInput(f"{self.place}.{name}", "a whole number from 0", repr(value))
        return value
