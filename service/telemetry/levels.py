"""How much is logged, changed while the process runs: SIGUSR1 for more, SIGUSR2 for less.

Signals and no address of the HTTP port: they need no key, open nothing to strangers, reach workers, which have no API,
and still work when the port does not answer.
"""

from __future__ import annotations

import asyncio
import logging
import signal

import structlog

#: From much to little.
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
STEPS = {signal.SIGUSR1: -1, signal.SIGUSR2: 1}

_log = structlog.get_logger("vitrine.logs")


def obey_signals(loop: asyncio.AbstractEventLoop) -> None:
    """From now on, each signal moves the least level that is logged by one.

    On the loop, since a handler that interrupts a line while it is written could not write its own.
    """
    for number in STEPS:
        loop.add_signal_handler(number, step, number)


def step(received: signal.Signals) -> None:
    """Log more, or less, and say so at whatever level is left."""
    root = logging.getLogger()
    position = _LEVELS.index(root.level) + STEPS[received]
    root.setLevel(_LEVELS[min(max(position, 0), len(_LEVELS) - 1)])
    _log.log(root.level, "log level", least=logging.getLevelName(root.level).lower())
