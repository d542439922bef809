"""Whether activations drift: watched where the configuration says so, wherever lanes are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from service.bootstrap.engines import profile_of, source_of
from service.bootstrap.parts import image_limits
from service.config import Config
from service.core.events import Emit
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.engine.store import ModelStore
from service.introspect.drift import DriftWatch, Watch
from service.lane import Batches


@dataclass(frozen=True, slots=True)
class DriftWatching:
    """Puts a watch beside lanes; all of it stays as it is without one."""

    watch: DriftWatch | None

    def behind(self) -> Sequence[AbstractAsyncContextManager[object]]:
        """What is to be left when no lane runs any more."""
        return [self.watch] if self.watch else []

    def lane(self, key: ModelKey, engine: Engine, lane: Batches) -> Batches:
        """What a lane answers is looked at."""
        return self.watch.lane(key, engine, lane) if self.watch else lane


def drift_watching(config: Config, store: ModelStore, emit: Emit) -> DriftWatching:
    """As configured."""
    if not config.drift_share:
        return DriftWatching(None)
    watch = Watch(config.drift_share, config.drift_window, config.drift_layers)
    source, profile = partial(source_of, store), partial(profile_of, store)
    return DriftWatching(DriftWatch(watch, image_limits(config), source, profile, emit))
