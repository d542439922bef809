"""Every panel of every dashboard shows something, asked of the real Prometheus."""

from __future__ import annotations

import json

import pytest

from tests.e2e.stack import ROOT, Stack, until
from tests.e2e.work import PICTURES

pytestmark = pytest.mark.slow

BOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))


def silent(stack: Stack) -> list[str]:
    """Panels whose queries have no number to show; NaN is none."""
    found = []
    for board in map(json.loads, (path.read_text() for path in BOARDS)):
        for panel in board["panels"]:
            for target in panel["targets"]:
                rows = stack.query(target["expr"].replace("$model", "digits"))
                if not any(row["value"][1] != "NaN" for row in rows):
                    found.append(f"{board['title']} / {panel['title']}: {target['expr']}")
    return found


def test_every_panel_shows_data(stack: Stack) -> None:
    """Overview, one model, queue."""
    assert [path.stem for path in BOARDS] == ["vitrine-model", "vitrine-overview", "vitrine-queue"]
    with stack.client() as client:

        def shown() -> bool:
            # Rates need counters that have grown between two scrapes.
            for digit in range(10):
                client.classify(PICTURES[digit], model="digits")
            return not silent(stack)

        until(shown, "some panels show nothing", timeout_s=120)
