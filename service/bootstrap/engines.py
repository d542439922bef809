"""Models on disk, and the engines that run them: for every role that computes."""

from __future__ import annotations

from collections.abc import Callable

from service.bootstrap.parts import log
from service.config import Config
from service.core.drift import Profile
from service.core.errors import Refused
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.engine.loading import EnginePolicy, check, load
from service.engine.runtime import installed_runtime
from service.engine.store import ModelStore, StoredModel
from service.engine.taps import TapSource
from service.introspect.diagnostics import Kept


def opener(config: Config, store: ModelStore) -> Callable[[ModelKey], Engine]:
    """Loads versions of `store`, tuned and warm. Raises `ServiceError` now when no load could ever succeed."""
    installed_runtime()
    policy = _policy(config)
    check(policy)

    def open_engine(key: ModelKey) -> Engine:
        engine = load(store.open(key), policy)
        for warning in engine.warnings:
            log.warning(warning, model=str(key))
        return engine

    return open_engine


def file_of(store: ModelStore, key: ModelKey, digest: str) -> bytes:
    """The model file with that digest; raises `Refused` when another one has taken its place."""
    return _stored(store, key, digest).model


def source_of(store: ModelStore, key: ModelKey, engine: Engine) -> TapSource:
    """Where sessions that look into a served version come from."""
    return TapSource(engine.digest, engine.tuning.chosen, lambda: file_of(store, key, engine.digest))


def profile_of(store: ModelStore, key: ModelKey, digest: str) -> Profile | None:
    """What the layers of that model file gave at export; raises `Refused` when another one has taken its place."""
    return _stored(store, key, digest).profile()


def kept_of(store: ModelStore, key: ModelKey, digest: str) -> Kept:
    """What is stored beside that model file; raises `Refused` when another one has taken its place."""
    stored = _stored(store, key, digest)
    return Kept(stored.samples().pixels, stored.profile())


def _stored(store: ModelStore, key: ModelKey, digest: str) -> StoredModel:
    stored = store.open(key)
    if stored.digest != digest:
        raise Refused(f"{key}: the file in the store is not the one that is served")
    return stored


def _policy(config: Config) -> EnginePolicy:
    return EnginePolicy(
        providers="auto" if config.providers == ("auto",) else config.providers,
        precision=config.precision,
        lanes=config.lanes,
        intra_op_threads=config.intra_op_threads,
        batch=config.batch,
        latency_ceiling_ms=config.latency_ceiling_ms,
        tuning_budget_s=config.tuning_budget_s,
        cache_dir=config.tuning_cache,
    )
