"""What a scenario is: something that goes wrong in a deployment while callers wait."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.site import Plan, Site

Recovery = float | None
Run = Callable[[Site], Awaitable[Recovery]]
SUPERVISED_S, ALONE_S = 0.5, 6.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that goes wrong. `sheds` says that admission may refuse, `breaks` which errors callers may be told.

    Where Redis `forgets` what it has said, an entry may be finished once more; its caller is told once all the same.
    """

    name: str
    story: str
    run: Run
    plan: Plan
    limit_s: float = math.inf
    sheds: bool = False
    breaks: frozenset[str] = frozenset()
    forgets: bool = False
    quick: bool = False  #: part of the short form, where all scenarios share one site


ALL: dict[str, Scenario] = {}


def scenario(
    plan: Plan | None = None,
    *,
    limit_s: float = math.inf,
    sheds: bool = False,
    breaks: tuple[str, ...] = (),
    forgets: bool = False,
    quick: bool = False,
) -> Callable[[Run], Run]:
    """Enter a function into `ALL`; its docstring is the story."""

    def enter(run: Run) -> Run:
        name = getattr(run, "__name__", "").replace("_", " ")
        story = " ".join((run.__doc__ or "").split())
        ALL[name] = Scenario(name, story, run, plan or Plan(), limit_s, sheds, frozenset(breaks), forgets, quick)
        return run

    return enter
