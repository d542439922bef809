"""When a child is started again, and when it is not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process

from service.core.errors import NotReady
from service.supervision.supervisor import Supervisor, pause_s

#: Exits with the code that it is given; or writes its beat and waits for the supervisor to let go.
EXITS = "import sys; sys.exit({code})"
WORKS = "import sys; print(flush=True); sys.stdin.read()"


class Children:
    """Starts programs, and notes the names of the dead that were to be released."""

    def __init__(self, *programs: str, fails: bool = False) -> None:
        self.programs = list(programs)
        self.started: list[tuple[str, int]] = []
        self.released: list[str] = []
        self.fails = fails

    async def spawn(self, name: str, restarts: int) -> Process:
        self.started.append((name, restarts))
        return await asyncio.create_subprocess_exec(sys.executable, "-c", self.programs.pop(0), stdin=PIPE, stdout=PIPE)

    async def release(self, name: str) -> int:
        self.released.append(name)
        if self.fails:
            raise NotReady("redis is away: nobody is there")
        return 3

    def supervisor(self, silent_s: float = 30) -> Supervisor:
        return Supervisor(self.spawn, self.release, silent_s=silent_s, grace_s=5)


async def test_the_dead_are_released_and_replaced() -> None:
    """Under another name each time, so that nobody inherits a lease; until one cannot work at all."""
    children = Children(EXITS.format(code=1), "import os; os.abort()", EXITS.format(code=2))

    assert await children.supervisor().run() == 2
    names = [name for name, _ in children.started]
    assert [restarts for _, restarts in children.started] == [0, 1, 2]
    assert len(set(names)) == 3
    assert children.released == names[:2]


async def test_a_redis_that_is_away_keeps_nobody_from_starting_again() -> None:
    """The leases then end by themselves."""
    children = Children(EXITS.format(code=1), EXITS.format(code=2), fails=True)

    assert await children.supervisor().run() == 2
    assert len(children.released) == 1


async def test_a_child_that_says_why_is_killed() -> None:
    """One line on its stdout is enough."""
    stuck = "import time; print('a batch is stuck', flush=True); time.sleep(60)"
    children = Children(stuck, EXITS.format(code=2))

    assert await asyncio.wait_for(children.supervisor().run(), 30) == 2
    assert len(children.released) == 1


async def test_a_child_that_falls_silent_is_killed() -> None:
    """Its event loop stands still."""
    children = Children("import time; print(flush=True); time.sleep(60)", EXITS.format(code=2))

    assert await asyncio.wait_for(children.supervisor(silent_s=0.2).run(), 30) == 2
    assert len(children.released) == 1


async def test_a_signal_lets_the_child_go() -> None:
    """It ends by itself, which is exit code 0; nothing is released that it gave back itself."""
    children = Children(WORKS)
    running = asyncio.create_task(children.supervisor().run())
    while not children.started:
        await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)

    assert await asyncio.wait_for(running, 30) == 0
    assert children.released == []


def test_who_dies_early_again_and_again_is_started_more_and_more_slowly() -> None:
    """At once the first time: most crashes are one picture's fault."""
    assert [pause_s(deaths) for deaths in (1, 2, 3, 4, 100)] == [0, 0.5, 1, 2, 30]
