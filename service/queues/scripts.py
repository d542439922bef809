"""The Lua scripts, each known to Redis by the SHA-1 of its text: a script is its own version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Script:
    """One script; its text documents keys, arguments and result."""

    text: bytes
    sha: str


def _read(name: str) -> Script:
    text = (resources.files(__package__) / "scripts" / f"{name}.lua").read_bytes()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


BEAT = _read("beat")
BURY = _read("bury")
CANCEL = _read("cancel")
CLAIM = _read("claim")
COMPLETE = _read("complete")
DELCONSUMER = _read("delconsumer")
DEPTH = _read("depth")
GREET = _read("greet")
LOST = _read("lost")
REAP = _read("reap")
RELEASE = _read("release")
RENEW = _read("renew")
RETIRE = _read("retire")
SUBMIT = _read("submit")

ALL = (BEAT, BURY, CANCEL, CLAIM, COMPLETE, DELCONSUMER, DEPTH, GREET, LOST, REAP, RELEASE, RENEW, RETIRE, SUBMIT)
