"""What the catalog says about one version of one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.core.messages import ModelKey
from service.core.spec import Spec
from service.core.tuning import Tuning

State = Literal["available", "loading", "ready", "unloading", "failed"]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One version: "available" means in the store and not loaded; `reason` says why it failed.

    `spec` and `tuning` are None until they are read and measured; `load_s` is the time from asking to ready, in
    seconds; `latest` is whether version 0 means this one.
    """

    key: ModelKey
    state: State
    reason: str = ""
    digest: str = ""  #: SHA-256 of the model file, in hex; empty until it was read
    spec: Spec | None = None
    tuning: Tuning | None = None
    load_s: float = 0.0
    latest: bool = False
