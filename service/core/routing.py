"""Which version answers: labels, a weighted split with sticky hashing, and shadows. Decisions only."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from service.core.errors import InvalidInput, NoSuchModel, Refused
from service.core.messages import Answer

#: The label that callers get who ask for nothing in particular, where there is no split.
STABLE = "stable"
MAX_LABELS = 16
#: How many routings of a model are kept to go back to.
MAX_FORMER = 16
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Shadow:
    """A copy of `share` (above 0 to 1) of all requests goes to `label` too; its answers are only compared."""

    label: str
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidInput("shadow.share", "above 0 to 1", self.share)


@dataclass(frozen=True, slots=True)
class Routing:
    """How requests for one model find their version.

    `labels` name versions; `split` gives labels their weights among the requests that name neither a version nor a
    label. Raises `InvalidInput` when the parts contradict each other.
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    split: Mapping[str, float] = field(default_factory=dict)
    shadow: Shadow | None = None

    def __post_init__(self) -> None:
        if len(self.labels) > MAX_LABELS:
            raise InvalidInput("labels", f"at most {MAX_LABELS}", len(self.labels))
        for label, version in self.labels.items():
            if not _LABEL.fullmatch(label):
                raise InvalidInput("labels", "names of a-z, 0-9, _ and -, a letter first, at most 32", repr(label))
            if version < 1:
                raise InvalidInput(f"labels.{label}", "a version from 1", version)
        for label, weight in self.split.items():
            self._check("split", label)
            if not 0 <= weight < math.inf:
                raise InvalidInput(f"split.{label}", "a finite weight from 0", weight)
        if self.split and not any(self.split.values()):
            raise InvalidInput("split", "at least one weight above 0", "zeros only")
        if self.shadow:
            self._check("shadow", self.shadow.label)

    def _check(self, name: str, label: str) -> None:
        if label not in self.labels:
            raise InvalidInput(name, f"a label that is set: {_listed(self.labels)}", repr(label))

    def version(self, model: str, label: str) -> int:
        """What a label stands for. Raises `NoSuchModel`."""
        if label not in self.labels:
            raise NoSuchModel(f"label: {model!r} has no label {label!r}; there are {_listed(self.labels)}")
        return self.labels[label]

    @property
    def main(self) -> int:
        """The version that most requests get which name none; 0 for the latest."""
        if not self.split:
            return self.labels.get(STABLE, 0)
        return self.labels[max(self.split, key=lambda label: (self.split[label], label))]

    def choose(self, model: str, key: str, serves: Callable[[int], bool]) -> int:
        """The version for a request that names none; 0 for the latest. The same `key` gets the same one.

        A version of the split that is not served takes no part, and nobody else's version changes by that. When none
        of them is, it is the one that `key` would get.
        """
        if not self.split:
            return self.main
        alive = {label: weight for label, weight in self.split.items() if serves(self.labels[label])}
        return self.labels[pick(alive if any(alive.values()) else self.split, f"{model}\0{key}")]

    def shadowed(self, version: int, key: str) -> int:
        """The version that gets a copy of a request that `version` answered; 0 for none."""
        if self.shadow is None:
            return 0
        other = self.labels[self.shadow.label]
        return other if other != version and _uniform(f"shadow\0{key}") < self.shadow.share else 0


def unrouted(model: str, version: int, label: str = "", key: str = "") -> int:
    """`Routes.choose` where there are no routings: a version is its number. Raises `NoSuchModel` for any label."""
    del key
    return Routing().version(model, label) if label else version


def pick(weights: Mapping[str, float], key: str) -> str:
    """Weighted rendezvous hashing (Schindelhauer and Schomaker 2005): a name, with a probability by its weight.

    A key keeps its name unless that name's weight falls or another's rises; at least one weight must be above 0.
    """
    return min(
        (label for label, weight in weights.items() if weight > 0),
        key=lambda label: (-math.log(_uniform(f"{label}\0{key}")) / weights[label], label),
    )


def _uniform(text: str) -> float:
    """A number above 0 to 1 that stands for the text, spread evenly."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return ((int.from_bytes(digest) >> 11) + 1) / 2**53


@dataclass(frozen=True, slots=True)
class Record:
    """The routing of a model, and those before it, the newest last. `revision` counts changes; 0 is none yet."""

    routing: Routing = field(default_factory=Routing)
    revision: int = 0
    former: tuple[Routing, ...] = ()

    def then(self, routing: Routing) -> Record:
        """With another routing in force."""
        return Record(routing, self.revision + 1, (*self.former, self.routing)[-MAX_FORMER:])

    def back(self) -> Record:
        """With the one before in force again. Raises `Refused` when there is none."""
        if not self.former:
            raise Refused("routing: there is none to go back to")
        return Record(self.former[-1], self.revision + 1, self.former[:-1])


_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


def to_plain(record: Record) -> dict[str, object]:
    """As JSON and YAML have it; what is empty is left out."""
    plain: dict[str, object] = _RECORD.dump_python(record, mode="json", exclude_defaults=True)
    return plain


def to_json(record: Record) -> bytes:
    """The record as JSON."""
    return _RECORD.dump_json(record)


def from_plain(plain: object, where: str) -> Record:
    """The inverse of `to_plain`, or of a person's own writing; raises `InvalidInput` naming the field below `where`.

    A routing may stand there without the `routing:` around it.
    """
    bare = isinstance(plain, dict) and plain and "routing" not in plain and "revision" not in plain
    try:
        return _RECORD.validate_python({"routing": plain} if bare else plain)
    except ValidationError as error:
        raise _invalid(error, where) from None


def from_json(text: bytes, where: str) -> Record:
    """The inverse of `to_json`; raises `InvalidInput` like `from_plain`."""
    try:
        return _RECORD.validate_json(text)
    except ValidationError as error:
        raise _invalid(error, where) from None


def _invalid(error: ValidationError, where: str) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    place = ".".join((where, *(str(part) for part in first["loc"])))
    return InvalidInput(place, first["msg"], repr(first["input"]))


def agreement(answer: Answer, other: Answer) -> tuple[bool, float]:
    """Whether two answers to one picture name the same best class, and the largest difference of a score.

    Of classes that only one of them names, nothing is known; without scores the logits are compared.
    """
    scores, others = _scores(answer), _scores(other)
    distance = max((abs(scores[index] - others[index]) for index in scores.keys() & others.keys()), default=0.0)
    return _best(scores) == _best(others), distance


def _scores(answer: Answer) -> Mapping[int, float]:
    return {each.index: each.score for each in answer.predictions} or dict(enumerate(answer.logits))


def _best(scores: Mapping[int, float]) -> int | None:
    return max(scores, key=lambda index: (scores[index], -index)) if scores else None


def _listed(labels: Mapping[str, int]) -> str:
    return ", ".join(sorted(labels)) or "none"
