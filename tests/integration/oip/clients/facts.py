"""Each scenario's outcome under its name, as one JSON object on standard output."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any


def facts(*scenarios: Callable[[], Any]) -> None:
    """Run all; one that fails tells its traceback and does not keep the others from running."""
    print(json.dumps({scenario.__name__: _outcome(scenario) for scenario in scenarios}))  # noqa: T201 - to the test


def _outcome(scenario: Callable[[], Any]) -> Any:
    try:
        return scenario()
    except Exception:  # noqa: BLE001 - told to the test, whose assertion then shows it
        return {"raised": traceback.format_exc()}
