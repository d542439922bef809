"""A model's status on the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from service.core.messages import ModelKey
from service.core.status import ModelStatus, State
from service.core.tuning import Tuning
from service.rpc.models import STATES, from_status, to_tuning
from service.rpc.pb.vitrine.v1 import models_pb2 as pb
from tests.fakes import CPU, READY


def test_every_state_has_a_number() -> None:
    """No state can reach the edge without a value in the enum, and none shares one."""
    assert set(STATES) == set(get_args(State))
    assert len(set(STATES.values())) == len(STATES)


def test_a_ready_model_tells_everything() -> None:
    """Labels, input, provider and facts come from the spec and the tuning."""
    model = from_status(READY)

    assert (model.name, model.version, model.latest) == ("digits", 3, True)
    assert model.state == pb.MODEL_STATE_READY
    assert list(model.labels) == ["zero", "one"]
    assert (model.input.channels, model.input.height, model.input.width) == (1, 28, 28)
    assert model.provider == "openvino bf16"
    assert dict(model.facts) == {"dataset": "mnist"}
    assert model.load_seconds == 1.25


def test_the_tuning_table_survives_the_wire() -> None:
    """What was measured comes back row by row."""
    tuning = to_tuning(from_status(READY).tuning)

    assert READY.tuning is not None
    assert tuning.chosen == READY.tuning.chosen
    assert tuning.cached is True
    assert [(m.setting.label, m.rejected) for m in tuning.measurements] == [
        ("openvino bf16", ""),
        ("cpu fp32", "slower"),
    ]
    assert tuning.measurements[0].max_logit_difference == pytest.approx(0.16)


def test_a_fallback_is_the_reason_of_a_ready_model() -> None:
    """A provider that could not be used is said where people look."""
    tuned = Tuning(CPU, (), fallback="openvino: not installed")

    assert from_status(replace(READY, tuning=tuned)).reason == "openvino: not installed"


def test_a_version_that_is_only_in_the_store_has_no_input_yet() -> None:
    """Nothing is made up about a model that was not read."""
    model = from_status(ModelStatus(ModelKey("digits", 4), "available"))

    assert not model.HasField("input")
    assert not model.HasField("tuning")
    assert model.provider == ""
