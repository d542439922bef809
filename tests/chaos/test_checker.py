"""The checker finds each thing that must not happen: else its silence would say nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import Account, account, recovered_s
from tests.chaos.ledger import Ledger
from tests.chaos.report import write
from tests.chaos.scenario import Scenario
from tests.chaos.site import Plan, Site
from tests.chaos.verdict import Verdict, judge


def run(ids: list[str], late: list[str] | None = None) -> dict[str, Any]:
    return {"kind": "run", "at": 1.0, "ids": ids, "late": late or []}


def effect(*entries: str) -> dict[str, Any]:
    return {"kind": "effect", "at": 2.0, "ids": [], "entries": list(entries)}


def found(folder: Path, told: dict[str, str], worked: list[dict[str, Any]]) -> Account:
    """The account of three requests, a to c, of whom some were told something."""
    ledger = Ledger(folder / "ledger")
    ledger.asked("abc")
    for name, outcome in told.items():
        ledger.told([name], outcome)
    ledger.close()
    (folder / "runs").write_text("".join(json.dumps(line) + "\n" for line in worked))
    return account(folder / "ledger", [folder / "runs"])


async def nothing(_: Site) -> None:
    """Do nothing."""


QUIET = Scenario("quiet", "Nothing happens.", nothing, Plan(), limit_s=0.5)
RIGHT = {"a": "right", "b": "right", "c": "right"}
WORK = [run(["a", "b"]), run(["c"]), effect("1-0", "2-0", "3-0")]


def test_nothing_is_wrong_where_nothing_went_wrong(tmp_path: Path) -> None:
    """Three were asked, computed once, finished once, and told."""
    quiet = found(tmp_path, RIGHT, WORK)

    assert (quiet.accepted, quiet.answered, quiet.in_vain) == (3, 3, 0)
    assert judge(QUIET, quiet, 0.1, 1.0) == []


@pytest.mark.parametrize(
    ("told", "worked", "fault"),
    [
        ({"a": "right", "b": "right"}, WORK, "I1: 1 were told nothing"),
        (RIGHT | {"c": "TooLate"}, WORK, "I1: 1 were told TooLate"),
        (RIGHT, [*WORK, effect("2-0")], "I2: completed twice: 2-0"),
        (RIGHT, [run(["a", "b"], late=["b"]), *WORK[1:]], "I4: computed after the deadline: b"),
        (RIGHT | {"a": "wrong"}, WORK, "I5: another picture's answer: a"),
        (RIGHT | {"c": "Overloaded"}, WORK, "I9: refused, and computed: c"),
        (RIGHT | {"c": "Overloaded"}, WORK[:1], "I9: 1 were refused"),
    ],
)
def test_what_must_not_happen_is_found(
    tmp_path: Path, told: dict[str, str], worked: list[dict[str, Any]], fault: str
) -> None:
    """One ledger for each invariant, with that one broken."""
    assert fault in judge(QUIET, found(tmp_path, told, worked), 0.1, 1.0)


def test_two_answers_to_one_caller_are_found(tmp_path: Path) -> None:
    """A job's item, say, that has two results."""
    found(tmp_path, RIGHT, WORK)
    ledger = Ledger(tmp_path / "ledger")
    ledger.told(["b"], "right")
    ledger.close()

    twice = account(tmp_path / "ledger", [tmp_path / "runs"])
    assert judge(QUIET, twice, 0.1, 1.0) == ["I2: completed twice: b"]


def test_a_redis_that_forgets_may_have_an_entry_finished_twice(tmp_path: Path) -> None:
    """It does not know any more that it was; nobody else may."""
    redone = found(tmp_path, RIGHT, [*WORK, effect("2-0")])

    assert judge(replace(QUIET, forgets=True), redone, 0.1, 1.0) == []
    assert judge(QUIET, redone, 0.1, 1.0) == ["I2: completed twice: 2-0"]


def test_a_slow_recovery_is_found(tmp_path: Path) -> None:
    """Beyond the scenario's limit, stretched where a machine is busy."""
    quiet = found(tmp_path, RIGHT, WORK)

    assert judge(QUIET, quiet, 0.7, 1.0) == ["I8: recovered after 0.70 s, which is more than 0.5 s"]
    assert judge(QUIET, quiet, 0.7, 2.0) == []


def test_computing_twice_is_counted(tmp_path: Path) -> None:
    """What nobody got an answer from was in vain; a line that a dead process left half-way says nothing."""
    twice = found(tmp_path, RIGHT, [*WORK, run(["a", "b"])])
    with (tmp_path / "runs").open("a") as file:
        file.write('{"kind": "run", "ids": ["c"')

    assert twice.in_vain == account(tmp_path / "ledger", [tmp_path / "runs"]).in_vain == 2


def test_recovery_ends_with_the_last_victim(tmp_path: Path) -> None:
    """Those who were not hurt do not count."""
    (tmp_path / "ledger").write_text(
        "".join(
            json.dumps({"kind": "told", "at": at, "ids": [name]}) + "\n"
            for name, at in {"a": 4, "b": 7, "c": 9}.items()
        )
    )

    assert recovered_s(tmp_path / "ledger", frozenset("ab"), 3.0) == 4.0


def test_a_report_keeps_what_was_not_played_again(tmp_path: Path) -> None:
    """One row for each scenario, the newest; faults are named below the table."""
    quiet = found(tmp_path, RIGHT, WORK)
    other = Scenario("other", "Something else.", nothing, Plan())
    write([Verdict(QUIET, quiet, 0.1, ()).row(), Verdict(other, quiet, None, ()).row()], tmp_path)
    write([Verdict(QUIET, quiet, 0.7, ("I8: too slow",)).row()], tmp_path)
    text = (tmp_path / "chaos.md").read_text()

    assert "| quiet | 3 | 0 | 3 | 0 | 0 | 0 | 0 | 0.70 s (0.5 s) |" in text
    assert "| other | 3 | 0 | 3 | 0 | 0 | 0 | 0 |  |" in text
    assert "- **quiet**: I8: too slow" in text
