"""From a stored model to an engine that answers: choose providers, tune or remember, open, warm."""

from __future__ import annotations

import os

import onnxruntime as ort

from service.core.tuning import Tuning
from service.engine.choice import complete
from service.engine.memory import return_freed_memory
from service.engine.policy import EnginePolicy
from service.engine.providers import choose
from service.engine.session import OnnxEngine, open_sessions
from service.engine.store import StoredModel
from service.engine.tuning import tune
from service.engine.tuning_cache import cache_for, cache_key, this_host

_INCOMPLETE = "the tuning budget was too short to measure everything; it is not kept and repeated at the next load"

__all__ = ["EnginePolicy", "check", "load"]


def check(policy: EnginePolicy) -> None:
    """Raise now what every load would: `InvalidInput` or `Refused` for providers unknown or not installed."""
    choose(policy.providers, tuple(ort.get_available_providers()))


def load(stored: StoredModel, policy: EnginePolicy) -> OnnxEngine:
    """Open a model in the best way this host has, warm for every batch size up to its best one.

    Blocks for milliseconds with a tuning remembered, for about `policy.tuning_budget_s` without. Raises `Refused`
    when no allowed provider runs the model, `BrokenModel` when its samples cannot be read, `EngineFailed` when warming
    fails. What went wrong without harm (a damaged cache file) is in the engine's `warnings`.
    """
    tuning, warnings = _tuning(stored, policy)
    engine = OnnxEngine(stored.spec, stored.digest, tuning, open_sessions(stored.model, tuning), warnings)
    engine.warm()
    return_freed_memory()
    return engine


def _tuning(stored: StoredModel, policy: EnginePolicy) -> tuple[Tuning, tuple[str, ...]]:
    available = tuple(ort.get_available_providers())
    candidates = choose(policy.providers, available)
    host = this_host(available, ort.__version__)
    cache = cache_for(stored.folder, policy, os.environ)
    key = cache_key(stored.digest, host, policy)
    tuning, unreadable = cache.read(key)
    if tuning is not None:
        return tuning, ()
    tuning = tune(stored, candidates, policy, host.cores)
    unwritten = cache.write(key, tuning) if complete(tuning) else _INCOMPLETE
    return tuning, tuple(warning for warning in (unreadable, unwritten) if warning)
