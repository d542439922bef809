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


def _read(*names: str) -> Script:
    """One script of one file, or of several that follow each other."""
    text = b"".join((resources.files(__package__) / "scripts" / f"{name}.lua").read_bytes() for name in names)
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


BEAT = _read("beat")
BURY = _read("bury")
CANCEL = _read("cancel")
CLAIM = _read("claim")
COMPLETE = _read("complete")
DELCONSUMER = _read("delconsumer")
DEPTH = _read("depth")
GREET = _read("greet")
JOB_APPEND = _read("jobs", "job_append")
JOB_BURY = _read("jobs", "job_bury")
JOB_CANCEL = _read("jobs", "job_cancel")
JOB_COMPLETE = _read("jobs", "job_complete")
JOB_MEND = _read("jobs", "job_mend")
JOB_OPEN = _read("jobs", "job_open")
JOB_SEAL = _read("jobs", "job_seal")
KEEP_ANSWER = _read("keeping", "keep_answer")
KEEP_PACE = _read("keep_pace")
KEEP_PREDICTION = _read("keeping", "keep_prediction")
LOST = _read("lost")
PACE = _read("pace")
REAP = _read("reap")
RELEASE = _read("release")
RENEW = _read("renew")
RETIRE = _read("retire")
ROUTE = _read("route")
SUBMIT = _read("submit")
SURVEY = _read("survey")

JOBS = (JOB_APPEND, JOB_BURY, JOB_CANCEL, JOB_COMPLETE, JOB_MEND, JOB_OPEN, JOB_SEAL)
LINES = (
    BEAT,
    BURY,
    CANCEL,
    CLAIM,
    COMPLETE,
    DELCONSUMER,
    DEPTH,
    GREET,
    KEEP_ANSWER,
    KEEP_PACE,
    KEEP_PREDICTION,
    LOST,
    PACE,
    REAP,
    RELEASE,
    RENEW,
    RETIRE,
    ROUTE,
    SUBMIT,
    SURVEY,
)
ALL = LINES + JOBS
