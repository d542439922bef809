"""The short form of the chaos: one deployment goes through what can be shown quickly; `make chaos` shows the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos.on_jobs import killing
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import ALL
from tests.chaos.site import Plan, Site, opened
from tests.chaos.verdict import alone, play
from tests.servers import require

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: `make test` shares its cores with other tests, and is about loss; `make chaos` is about time as well.
SLACK = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A front-end and two workers."""
    require("redis")
    async with opened(Plan(), tmp_path_factory.mktemp("chaos")) as opened_site:
        yield opened_site


@pytest.mark.parametrize("scenario", [each for each in ALL.values() if each.quick], ids=lambda each: each.name)
async def test_nothing_is_lost_although(site: Site, scenario: Scenario) -> None:
    """Every accepted request is answered once, with its own answer, and nothing is left in Redis."""
    site.begin(scenario.name)
    verdict = await play(scenario, site, SLACK)

    assert verdict.faults == ()


async def test_a_job_is_finished_although_everybody_is_killed(tmp_path: Path) -> None:
    """Front-ends, workers, Redis, the command that hands it in: each of 3,000 items has one result, the right one."""
    require("redis")
    scenario = ALL["a job while everybody is killed"]
    verdict = await alone(replace(scenario, run=partial(killing, items=3000, blows=8)), tmp_path)

    assert verdict.faults == ()
    assert (verdict.account.accepted, verdict.account.answered) == (3000, 3000)
