"""What the ledgers say together: the invariants I1 to I9 of section 3.3 of the queue's design."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.ledger import lines

#: What a caller that was not let in is told; nothing of it may have been computed.
SHED = ("Overloaded",)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the requests of one scenario."""

    asked: int
    shed: int  #: refused at admission, with a reason
    answered: int  #: with the right logits
    failed: dict[str, int]  #: accepted, and told an error by name
    silent: tuple[str, ...]  #: accepted, and never told anything (I1)
    wrong: tuple[str, ...]  #: told what belongs to another picture (I5)
    redone: tuple[str, ...]  #: entries of Redis that were completed more than once (I2)
    told_twice: tuple[str, ...]  #: likewise, what callers saw of it (I2)
    late: tuple[str, ...]  #: computed although the deadline had passed (I4)
    shed_computed: tuple[str, ...]  #: refused, and computed all the same (I9)
    in_vain: int  #: computations beyond the one that each answer needs (I7)

    @property
    def accepted(self) -> int:
        """How many were let in."""
        return self.asked - self.shed

    @property
    def lost(self) -> int:
        """Accepted, and told nothing, or that the answer did not come in time, or that the way to it broke."""
        return len(self.silent) + sum(count for name, count in self.failed.items() if name != "EngineFailed")


def account(asking: Path, working: Sequence[Path]) -> Account:
    """Read the callers' ledger and those of the workers."""
    asked = [each for line in lines(asking, "asked") for each in line["ids"]]
    mine = set(asked)  # a site may have been through other scenarios before
    tellings = [(each, line["outcome"]) for line in lines(asking, "told") for each in line["ids"]]
    told = dict(tellings)
    times = Counter(each for each, _ in tellings)
    runs = Counter(each for path in working for line in lines(path, "run") for each in line["ids"] if each in mine)
    effects = Counter(entry for path in working for line in lines(path, "effect") for entry in line["entries"])
    outcomes = Counter(told.values())
    known = {"right", "wrong", "left", *SHED}
    return Account(
        asked=len(asked),
        shed=sum(outcomes[name] for name in SHED),
        answered=outcomes["right"],
        failed={name: count for name, count in outcomes.items() if name not in known},
        silent=tuple(each for each in asked if each not in told),
        wrong=tuple(each for each, outcome in told.items() if outcome == "wrong"),
        redone=tuple(entry for entry, count in effects.items() if count > 1),
        told_twice=tuple(each for each, count in times.items() if count > 1),
        late=tuple(each for path in working for line in lines(path, "run") for each in line["late"] if each in mine),
        shed_computed=tuple(each for each, outcome in told.items() if outcome in SHED and runs[each]),
        in_vain=sum(count - (told.get(each) == "right") for each, count in runs.items()),
    )


def recovered_s(asking: Path, victims: frozenset[str], since: float) -> float:
    """Seconds from `since`, when something broke, until the last of `victims` was told; 0 without any."""
    told = (line["at"] for line in lines(asking, "told") if victims & set(line["ids"]))
    return max((at - since for at in told), default=0.0)
