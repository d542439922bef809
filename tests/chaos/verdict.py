"""Whether a scenario went as it must, and what is to be reported of it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.checker import Account
from tests.chaos.scenario import Recovery, Scenario
from tests.chaos.site import Site, opened

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Verdict:
    """One scenario's account, and what is wrong with it; nothing when it passed."""

    scenario: Scenario
    account: Account
    recovery_s: Recovery
    faults: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """For the report."""
        found = self.account
        return {
            "scenario": self.scenario.name,
            "story": self.scenario.story,
            "accepted": found.accepted,
            "shed": found.shed,
            "answered": found.answered,
            "failed": dict(found.failed),
            "lost": sum(count for name, count in lost(self.scenario, found).items()),
            "duplicated": len(duplicated(self.scenario, found)),
            "in_vain": found.in_vain,
            "recovery_s": self.recovery_s,
            "limit_s": None if self.scenario.limit_s == float("inf") else self.scenario.limit_s,
            "faults": list(self.faults),
        }


async def alone(scenario: Scenario, folder: Path) -> Verdict:
    """Play it on a site of its own."""
    async with opened(scenario.plan, folder) as site:
        return await play(scenario, site)


async def play(scenario: Scenario, site: Site, slack: float = 1.0) -> Verdict:
    """Play it, wait until nothing is left, and judge. `slack` stretches the time limit, where the machine is busy."""
    problems = []
    recovery = None
    try:
        recovery = await scenario.run(site)
    except (AssertionError, TimeoutError) as error:
        problems.append(f"{type(error).__name__}: {error or _line(error)}")
    try:
        await site.at_rest()
    except TimeoutError:
        problems.append(f"I6: Redis still holds {site.residue()}")
    account = site.account()
    faults = (*problems, *judge(scenario, account, recovery, slack))
    return Verdict(scenario, account, recovery, faults)


def _line(error: Exception) -> str:
    """Where it was raised, in the scenario's own words."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((each for each in reversed(frames) if each.filename.startswith(str(_HERE))), frames[-1])
    return f"{frame.name}, line {frame.lineno}: {frame.line}"


def lost(scenario: Scenario, found: Account) -> dict[str, int]:
    """Accepted requests without an answer, by what their callers were told, but for what the scenario takes away."""
    told = {name: count for name, count in found.failed.items() if name not in scenario.breaks | {"EngineFailed"}}
    return {**told, "nothing": len(found.silent)}


def duplicated(scenario: Scenario, found: Account) -> tuple[str, ...]:
    """What was finished twice although Redis knew better, and whoever was told twice."""
    return found.told_twice if scenario.forgets else found.told_twice + found.redone


def judge(scenario: Scenario, found: Account, recovery: Recovery, slack: float) -> list[str]:
    """What is wrong, by invariant."""
    faults = [f"I1: {count} were told {told}" for told, count in lost(scenario, found).items() if count]
    checks = {
        "I2: completed twice": duplicated(scenario, found),
        "I4: computed after the deadline": found.late,
        "I5: another picture's answer": found.wrong,
        "I9: refused, and computed": found.shed_computed,
    }
    faults += [f"{name}: {', '.join(ids[:5])}" for name, ids in checks.items() if ids]
    if found.shed and not scenario.sheds:
        faults.append(f"I9: {found.shed} were refused")
    if recovery is not None and recovery > scenario.limit_s * slack:
        faults.append(f"I8: recovered after {recovery:.2f} s, which is more than {scenario.limit_s * slack:g} s")
    return faults
