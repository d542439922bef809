from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.access import (
    ANYONE,
    NOBODY,
    Allowance,
    Caller,
    Scope,
    is_loopback,
    pace,
    scope_of_call,
    scope_of_path,
    scopes,
    too_fast,
)
from service.core.errors import Forbidden, InvalidInput, Reason

SHOP = Caller("shop", frozenset({Scope.INFER, Scope.JOBS}))


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        ("/vitrine.v1.Classifier/Classify", Scope.INFER),
        ("/vitrine.v1.Classifier/ClassifyStream", Scope.INFER),
        ("/vitrine.v1.Models/List", Scope.INFER),
        ("/vitrine.v1.Models/Load", Scope.ADMIN),
        ("/vitrine.v1.Models/GetRouting", Scope.INFER),
        ("/vitrine.v1.Models/SetRouting", Scope.ADMIN),
        ("/vitrine.v1.Models/RollBackRouting", Scope.ADMIN),
        ("/vitrine.v1.Predictions/Get", Scope.DEBUG),
        ("/vitrine.v1.Jobs/Append", Scope.JOBS),
        ("/vitrine.v1.Introspection/GetFeatureMaps", Scope.DEBUG),
        ("/inference.GRPCInferenceService/ModelInfer", Scope.INFER),
        ("/inference.GRPCInferenceService/RepositoryModelUnload", Scope.ADMIN),
        ("/grpc.health.v1.Health/Check", None),
        ("/somebody.Else/Method", Scope.ADMIN),
    ],
)
def test_every_method_has_its_scope(method: str, scope: Scope | None) -> None:
    """What nobody listed is for administrators."""
    assert scope_of_call(method) is scope


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/", None),
        ("/healthz", None),
        ("/metrics", None),
        ("/v2/health/ready", None),
        ("/v1/models", Scope.INFER),
        ("/v1/models/digits/classify", Scope.INFER),
        ("/v1/models/digits/layers", Scope.DEBUG),
        ("/v1/models/digits/features/conv.png", Scope.DEBUG),
        ("/v1/models/layers", Scope.INFER),  # a model of that name
        ("/v1/images", Scope.DEBUG),
        ("/v2/models/digits/infer", Scope.INFER),
        ("/v2/repository/index", Scope.INFER),
        ("/v2/repository/models/digits/load", Scope.ADMIN),
        ("/statusz", Scope.ADMIN),
    ],
)
def test_every_path_has_its_scope(path: str, scope: Scope | None) -> None:
    """Probes are open, models are looked into with `debug`, and what nobody listed is for administrators."""
    assert scope_of_path(path) is scope


def test_a_caller_may_do_what_its_scopes_say() -> None:
    """The message says what is needed and what the caller has."""
    SHOP.require(Scope.JOBS)
    SHOP.require(None)
    NOBODY.require(None)
    ANYONE.require(Scope.ADMIN)
    with pytest.raises(Forbidden, match=r"this needs the scope 'debug'; 'shop' has: infer, jobs"):
        SHOP.require(Scope.DEBUG)
    with pytest.raises(Forbidden, match=r"'anonymous' has: none"):
        NOBODY.require(Scope.INFER)


def test_scopes_by_name() -> None:
    """Unknown ones are named, beside those there are."""
    assert scopes(["infer", "debug"]) == {Scope.INFER, Scope.DEBUG}
    with pytest.raises(InvalidInput, match=r"^scopes: must be of infer, jobs, debug, admin, got root, write$"):
        scopes(["write", "infer", "root"])


def test_an_allowance_is_positive() -> None:
    """Nothing at all is said by taking the key away."""
    assert not Allowance().limited
    assert Allowance(concurrent=1).limited
    with pytest.raises(InvalidInput, match=r"^bytes_per_s: must be positive, got 0$"):
        Allowance(bytes_per_s=0)


def test_a_second_may_be_spent_at_once() -> None:
    """At 10 per second, ten pass, the eleventh waits a tenth of a second, and after that one passes."""
    due = 0.0
    for _ in range(10):
        due, wait = pace(due, 0.1, now_s=100.0)
        assert wait == 0
    _, wait = pace(due, 0.1, now_s=100.0)
    assert wait == pytest.approx(0.1)
    assert pace(due, 0.1, now_s=100.1 + 1e-9)[1] == 0


def test_what_costs_more_than_a_second_passes_after_a_rest() -> None:
    """A large upload is not refused for ever; whoever comes next waits longer."""
    due, wait = pace(0.0, 5.0, now_s=100.0)

    assert (due, wait) == (105.0, 0.0)
    assert pace(due, 0.1, now_s=100.0)[1] == pytest.approx(4.1)


def test_without_a_rate_nothing_waits() -> None:
    """An infinite rate costs no time."""
    assert pace(0.0, 1 / inf, now_s=5.0) == (5.0, 0.0)


@given(costs=st.lists(st.floats(0.001, 3), min_size=1, max_size=60), idle=st.lists(st.floats(0, 2), min_size=60))
def test_nobody_is_faster_than_allowed(costs: list[float], idle: list[float]) -> None:
    """What was taken up to any moment costs at most the time since the beginning, one burst, and the last amount."""
    due, now, taken = 0.0, 0.0, 0.0
    for cost, pause in zip(costs, idle, strict=False):
        now += pause
        due, wait = pace(due, cost, now)
        if not wait:
            taken += cost
            assert taken <= now + 1 + cost + 1e-6


def test_who_is_too_fast_reads_the_limit() -> None:
    """With the time to wait, for the message and for RetryInfo."""
    caller = Caller("shop", frozenset(), Allowance(requests_per_s=5, concurrent=2))

    error = too_fast(caller, 0.25, Reason.CALLER_RATE)

    assert str(error) == "shop: at most 5 requests per second, which is reached; try again in 0.25 s"
    assert (error.reason, error.retry_after_s) == (Reason.CALLER_RATE, 0.25)
    assert "at most 2 calls at once" in str(too_fast(caller, 0.5, Reason.CALLER_CONCURRENCY))


def test_where_waiting_has_no_measure_it_is_half_a_second() -> None:
    """Calls of the caller's own must end first, and nobody knows how long they take."""
    assert (
        too_fast(Caller("shop", frozenset(), Allowance(concurrent=2)), 0, Reason.CALLER_CONCURRENCY).retry_after_s
        == 0.5
    )


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("host", False)],  # noqa: S104 - to be told apart
)
def test_this_machine_is_known_by_address_and_name(host: str, here: bool) -> None:  # noqa: FBT001
    """Everything else may be reached by strangers."""
    assert is_loopback(host) is here
