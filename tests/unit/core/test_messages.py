from __future__ import annotations

import math

from service.core.events import ModelChanged
from service.core.messages import NEVER, Lease, ModelKey, Request
from service.core.status import ModelStatus
from service.core.tuning import Setting, Tuning

KEY = ModelKey("digits", 3)


def test_a_model_key_reads_as_name_and_version() -> None:
    """Logs and messages show a version the way people write it."""
    assert str(KEY) == "digits:3"


def test_a_request_is_late_from_its_deadline_on() -> None:
    """The deadline itself is already too late."""
    request = Request("r1", KEY, b"", deadline=10.0)

    assert not request.late(9.999)
    assert request.late(10.0)


def test_a_request_without_deadline_is_never_late() -> None:
    """`NEVER` lies behind every clock."""
    assert math.inf == NEVER
    assert not Request("r1", KEY, b"").late(1e300)


def test_a_lease_starts_with_its_caller_waiting() -> None:
    """A fresh lease is not gone, and remembers how long the request waited and the queue's token."""
    request = Request("r1", KEY, b"jpeg")
    lease = Lease(request, 0.5, 70)

    assert (lease.request, lease.waited_s, lease.token, lease.gone) == (request, 0.5, 70, False)


def test_a_setting_is_labelled_by_provider_and_precision() -> None:
    """Answers and tables show "openvino bf16"."""
    assert Setting("openvino", "bf16", lanes=2, intra_op_threads=1, batch=4).label == "openvino bf16"


def test_what_was_just_seen_has_nothing_to_explain() -> None:
    """A status, a change and a tuning that went well carry empty reasons, are not cached and fell back to nothing."""
    tuning = Tuning(Setting("cpu", "fp32", 1, 1, 1), ())

    assert (tuning.cached, tuning.fallback) == (False, "")
    assert ModelChanged(KEY, "ready").reason == ""
    assert (ModelStatus(KEY, "available").reason, ModelStatus(KEY, "available").latest) == ("", False)
