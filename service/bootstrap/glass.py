"""Looking in: the introspection of whatever `subject` finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from service.bootstrap.engines import kept_of
from service.bootstrap.parts import image_limits
from service.config import Config
from service.engine.store import ModelStore
from service.engine.taps import TapSessions
from service.introspect.diagnostics import Diagnostics
from service.introspect.introspector import Budget, Introspector
from service.introspect.pictures import PictureStore
from service.introspect.tapping import Subject


def diagnostics(inside: Introspector, store: ModelStore) -> Diagnostics:
    """Examines what `inside` looks into, on what `store` keeps beside it."""
    return Diagnostics(inside, inside.sessions, partial(kept_of, store))


def introspector(config: Config, subject: Callable[[str, int], Subject]) -> Introspector:
    """`subject(model, version)` is what is looked into."""
    return Introspector(
        subject,
        TapSessions(config.tap_bytes),
        pictures=PictureStore(config.picture_bytes, config.picture_ttl_s, time.monotonic),
        limits=image_limits(config),
        budget=Budget(config.introspection_answer_bytes, config.introspection_tensor_bytes),
    )
