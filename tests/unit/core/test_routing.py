from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import InvalidInput, NoSuchModel, Refused
from service.core.messages import Answer, ModelKey, Prediction, Timing
from service.core.routing import (
    MAX_FORMER,
    Record,
    Routing,
    Shadow,
    agreement,
    from_json,
    from_plain,
    pick,
    to_json,
    to_plain,
)

LABELS = {"stable": 1, "canary": 2}
TIMING = Timing(0, 0, 0, 1, "cpu fp32")
weights = st.dictionaries(
    st.sampled_from(["stable", "canary", "blue", "green", "old"]), st.floats(0.01, 100), min_size=2
)


def everything(_version: int) -> bool:
    return True


def only(version: int) -> Callable[[int], bool]:
    return lambda asked: asked == version


@settings(deadline=None)
@given(weights, st.text())
def test_a_key_sticks(split: dict[str, float], key: str) -> None:
    """The same key gets the same label, in whatever order the weights are written."""
    assert pick(split, key) == pick(dict(reversed(split.items())), key)


@settings(deadline=None)
@given(weights, st.text())
def test_a_label_that_leaves_moves_only_its_own_keys(split: dict[str, float], key: str) -> None:
    """Those of the others stay where they are."""
    chosen = pick(split, key)
    for gone in split.keys() - {chosen}:
        assert pick({label: weight for label, weight in split.items() if label != gone}, key) == chosen


@settings(deadline=None)
@given(weights, st.text(), st.floats(1, 50))
def test_a_weight_that_rises_only_attracts(split: dict[str, float], key: str, factor: float) -> None:
    """Whoever is a canary at 5 % is one at 10 %."""
    chosen = pick(split, key)
    assert pick(split | {chosen: split[chosen] * factor}, key) == chosen


@settings(max_examples=20, deadline=None)
@given(weights)
def test_weights_are_honoured(split: dict[str, float]) -> None:
    """Within five standard deviations of a fair draw of 1,000 keys."""
    count = 1000
    found = [pick(split, f"request-{number}") for number in range(count)]

    for label, weight in split.items():
        share = weight / sum(split.values())
        assert abs(found.count(label) - share * count) <= 5 * math.sqrt(count * share * (1 - share)) + 1


def test_a_weight_of_zero_gets_nothing() -> None:
    """It takes part again as soon as it has one."""
    routing = Routing(LABELS, {"stable": 1, "canary": 0})

    assert {routing.choose("m", str(number), everything) for number in range(200)} == {1}


def test_what_is_not_served_takes_no_part() -> None:
    """Its share goes to the others; where nobody is served, the caller is told of the version it would get."""
    routing = Routing(LABELS, {"stable": 50, "canary": 50})
    keys = [str(number) for number in range(200)]

    assert {routing.choose("m", key, everything) for key in keys} == {1, 2}
    assert {routing.choose("m", key, only(2)) for key in keys} == {2}
    assert [routing.choose("m", key, only(9)) for key in keys] == [routing.choose("m", key, everything) for key in keys]


def test_models_are_split_apart() -> None:
    """A caller is not the canary of every model there is."""
    routing = Routing(LABELS, {"stable": 50, "canary": 50})
    both = [(routing.choose("a", str(n), everything), routing.choose("b", str(n), everything)) for n in range(200)]

    assert set(both) == {(1, 1), (1, 2), (2, 1), (2, 2)}


@pytest.mark.parametrize(
    ("routing", "main"),
    [
        (Routing(), 0),
        (Routing({"canary": 2}), 0),
        (Routing(LABELS), 1),
        (Routing(LABELS, {"stable": 10, "canary": 90}), 2),
    ],
)
def test_the_main_version_is_stable_or_has_most_weight(routing: Routing, main: int) -> None:
    """Whoever needs one version for all, as a job does, gets this one; 0 is the latest."""
    assert routing.main == main


def test_without_a_split_everybody_gets_stable() -> None:
    """And without that label the latest."""
    assert Routing(LABELS).choose("m", "k", everything) == 1
    assert Routing({"canary": 2}).choose("m", "k", everything) == 0


def test_a_label_stands_for_its_version() -> None:
    """An unknown one is refused, and told which there are."""
    assert Routing(LABELS).version("digits", "canary") == 2
    with pytest.raises(NoSuchModel, match="'digits' has no label 'blue'; there are canary, stable"):
        Routing(LABELS).version("digits", "blue")
    with pytest.raises(NoSuchModel, match="there are none"):
        Routing().version("digits", "blue")


def test_a_shadow_gets_its_share_of_what_others_answered() -> None:
    """A quarter of the requests, never one that it answered itself."""
    routing = Routing(LABELS, shadow=Shadow("canary", 0.25))
    copies = [routing.shadowed(1, str(number)) for number in range(4000)]

    assert 900 <= copies.count(2) <= 1100
    assert set(copies) == {0, 2}
    assert {routing.shadowed(2, str(number)) for number in range(100)} == {0}
    assert Routing(LABELS).shadowed(1, "k") == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"labels": {"Stable": 1}}, "labels: names of a-z.*got 'Stable'"),
        ({"labels": {"stable": 0}}, "labels.stable: a version from 1, got 0"),
        ({"labels": {f"l{number}": 1 for number in range(17)}}, "labels: at most 16, got 17"),
        ({"labels": LABELS, "split": {"blue": 1}}, "split: a label that is set: canary, stable, got 'blue'"),
        ({"labels": LABELS, "split": {"stable": -1}}, "split.stable: a finite weight from 0, got -1"),
        ({"labels": LABELS, "split": {"stable": math.nan}}, "split.stable: a finite weight"),
        ({"labels": LABELS, "split": {"stable": 0}}, "split: at least one weight above 0"),
        ({"shadow": Shadow("canary")}, "shadow: a label that is set: none, got 'canary'"),
    ],
)
def test_contradictions_are_refused(parts: dict[str, Any], message: str) -> None:
    """Naming the field, the rule and the value."""
    with pytest.raises(InvalidInput, match=message):
        Routing(**parts)


def test_a_share_is_above_0_to_1() -> None:
    """A shadow of nothing is no shadow."""
    with pytest.raises(InvalidInput, match=r"shadow\.share: above 0 to 1, got 0"):
        Shadow("canary", 0)


def test_going_back_restores_what_was() -> None:
    """One step at a time, until there is nothing before."""
    first, second = Routing({"stable": 1}), Routing({"stable": 2})
    record = Record().then(first).then(second)

    assert (record.routing, record.revision) == (second, 2)
    assert (record.back().routing, record.back().revision) == (first, 3)
    assert record.back().back().routing == Routing()
    with pytest.raises(Refused, match="none to go back to"):
        record.back().back().back()


def test_history_is_bounded() -> None:
    """The oldest are forgotten."""
    record = Record()
    for version in range(1, 30):
        record = record.then(Routing({"stable": version}))

    assert len(record.former) == MAX_FORMER
    assert record.former[-1] == Routing({"stable": 28})


def test_a_record_survives_its_files() -> None:
    """As JSON and as plain values; a person may write the routing alone."""
    routing = Routing(LABELS, {"stable": 90.0, "canary": 10.0}, Shadow("canary", 0.5))
    record = Record().then(routing).then(Routing({"stable": 3}))

    assert from_json(to_json(record), "digits") == record
    assert from_plain(to_plain(record), "digits") == record
    assert from_plain({"labels": LABELS, "shadow": {"label": "canary"}}, "digits").routing.shadow == Shadow("canary")
    with pytest.raises(InvalidInput, match=r"digits\.routing\.labels\.stable: .*got 'one'"):
        from_plain({"labels": {"stable": "one"}}, "digits")


def answer(*scores: tuple[int, float], logits: tuple[float, ...] = ()) -> Answer:
    predictions = tuple(Prediction(str(index), index, score) for index, score in scores)
    return Answer("a", ModelKey("m", 1), "d", predictions, logits, TIMING)


def test_answers_agree_on_their_best_class() -> None:
    """The distance is that of the classes both name."""
    ours = answer((3, 0.5), (1, 0.25))

    assert agreement(ours, answer((3, 0.75), (2, 0.25))) == (True, 0.25)
    assert agreement(ours, answer((1, 0.5), (3, 0.375))) == (False, 0.25)
    assert agreement(ours, answer((7, 0.5))) == (False, 0.0)
    assert agreement(answer(), answer()) == (True, 0.0)
    assert agreement(answer(logits=(0.5, 2.0)), answer(logits=(0.5, 1.0))) == (True, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"no json", "digits: Invalid JSON"),
        (b'{"revision": "one"}', "digits.revision: "),
        (b'{"routing": {"labels": {"A": 1}}}', "labels: names of a-z"),
    ],
)
def test_what_is_no_record_is_refused(text: bytes, message: str) -> None:
    """With the place of the first mistake, whoever wrote it there."""
    with pytest.raises(InvalidInput, match=f"^{message}"):
        from_json(text, "digits")
