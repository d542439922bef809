"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from service.core.graph import Node
from service.core.tape import Tape

Parts = Iterator[tuple[str, str]]  #: an input, and what is added to its gradient
#: From the operation and the gradient of its output, what its inputs get; written onto the tape.
Rule = Callable[[Tape, Node, str], Parts]
