"""Served models to look into, without a store: the hand-made nets on real sessions."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.drift import Profile
from service.core.errors import NoSuchModel
from service.core.image import Limits
from service.core.messages import ModelKey
from service.core.spec import Spec
from service.core.tuning import Setting, Tuning
from service.engine.session import OnnxEngine, open_sessions
from service.engine.taps import TapSessions, TapSource
from service.introspect.diagnostics import Diagnostics, Kept
from service.introspect.introspector import Budget, Introspector
from service.introspect.pictures import PictureStore
from service.introspect.tapping import Subject
from tests import nets

TUNING = Tuning(Setting("cpu", "fp32", 1, 1, 4), ())


@cache
def subject(name: str) -> Subject:
    """One of the nets, served."""
    return serve(*nets.exported(name))


def serve(file: bytes, spec: Spec) -> Subject:
    """Any file, served."""
    digest = hashlib.sha256(file).hexdigest()
    engine = OnnxEngine(spec, digest, TUNING, open_sessions(file, TUNING), ())
    return Subject(ModelKey(spec.name, 1), engine, TapSource(digest, TUNING.chosen, lambda: file))


def served(name: str, version: int) -> Subject:
    """What an introspector asks for its models: every net as version 1."""
    if name not in {*nets.NETS, "guide"} or version not in {0, 1}:
        raise NoSuchModel(f"model: no model is called {name!r}")
    return subject(name)


def introspector(
    budget: Budget | None = None,
    now: Callable[[], float] = time.monotonic,
    find: Callable[[str, int], Subject] = served,
) -> Introspector:
    """One with nothing cached."""
    return Introspector(
        find,
        TapSessions(max_bytes=1 << 26),
        pictures=PictureStore(max_bytes=1 << 20, ttl_s=60, now=now),
        limits=Limits(),
        budget=budget or Budget(),
        now=now,
    )


def diagnostics(
    find: Callable[[str, int], Subject] = served,
    profile: Profile | None = None,
    now: Callable[[], float] = time.monotonic,
    images: int = 40,
) -> Diagnostics:
    """One whose samples are random pictures; `profile` is that of every model."""
    inside = introspector(now=now, find=find)

    def kept(key: ModelKey, _digest: str) -> Kept:
        shape = find(key.name, key.version).engine.spec.shape
        return Kept(np.random.default_rng(5).integers(0, 256, (images, *shape), np.uint8), profile)

    return Diagnostics(inside, inside.sessions, kept, now)


def picture(seed: int = 3) -> bytes:
    """A PNG of the nets' size, every pixel random."""
    return png(np.random.default_rng(seed).integers(0, 256, (nets.HEIGHT, nets.WIDTH, 3), np.uint8))


def guide_picture() -> bytes:
    """The pixels 0 to 8."""
    return png(np.arange(9, dtype=np.uint8).reshape(3, 3))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels without loss."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
