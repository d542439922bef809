"""Nothing is skipped in CI but what its machine cannot have, and that is named: `.ci/run` sets MAY_SKIP.

Hypothesis draws the same examples each time, so that a red run says something of the change and nothing of luck;
`pytest --hypothesis-profile=default` looks further.
"""

from __future__ import annotations

import os

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def unexpected(reporter: TerminalReporter) -> list[str]:
    """Why tests were skipped that CI has to run; none outside CI, where a machine is a person's own."""
    if not os.environ.get("CI"):
        return []
    missing = os.environ.get("MAY_SKIP", "").split()
    reasons = {report.longrepr[2] for report in reporter.stats.get("skipped", ())}  # behind the file and the line
    return sorted(reason for reason in reasons if not any(name in reason for name in missing))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, TerminalReporter) and unexpected(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say why."""
    for reason in unexpected(terminalreporter):
        terminalreporter.write_line(f"skipped, though this is CI: {reason}", red=True)
