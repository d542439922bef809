from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.caching import Answers, given_again, key_of, size_of
from service.core.messages import Answer, ModelKey, Options, Prediction, Priority, Request, Timing

KEY = ModelKey("digits", 1)
ANSWER = Answer("a", KEY, "d", (Prediction("nine", 9, 0.5),), (1.0, 2.0), Timing(1, 2, 3, 4, "cpu fp32"))
SIZE = size_of(ANSWER)


def view(data: bytes) -> memoryview:
    return memoryview(data)


options = st.builds(Options, st.integers(0, 5), st.sampled_from([0.0, 0.25]), st.booleans(), st.booleans())
requests = st.builds(
    Request,
    st.just("a"),
    st.just(KEY),
    st.one_of(st.binary(max_size=3), st.binary(max_size=3).map(view)),
    options,
)


@settings(deadline=None)
@given(st.sampled_from(["", "d", "d1"]), requests, st.sampled_from(["", "d", "d1"]), requests)
def test_keys_are_the_same_only_for_the_same(digest: str, one: Request, other_digest: str, other: Request) -> None:
    """Model file, options, kind and bytes all count, and nothing runs into its neighbour."""
    same = (digest, one.options, bytes(one.image)) == (other_digest, other.options, bytes(other.image))

    assert (key_of(digest, one) == key_of(other_digest, other)) is same


def test_who_asks_and_how_urgently_is_all_the_same() -> None:
    """Id, version number, deadline and priority change no answer; the file behind the version does."""
    request = Request("a", KEY, b"picture")
    another = Request("b", ModelKey("digits", 2), b"picture", deadline=7.0, priority=Priority.BULK)

    assert key_of("d", request) == key_of("d", another)


def test_a_kept_answer_is_given_as_ones_own() -> None:
    """With the caller's id and version, and no time but the cache's."""
    given = given_again(ANSWER, Request("b", ModelKey("digits", 2), b""))

    assert given == replace(ANSWER, id="b", model=ModelKey("digits", 2), timing=Timing(0, 0, 0, 0, "cache"))


def test_what_was_used_last_stays() -> None:
    """Of three answers where two fit, the one that was not asked for leaves."""
    kept = Answers(2 * SIZE, ttl_s=60)
    kept.put(b"1", ANSWER, 0.0)
    kept.put(b"2", ANSWER, 0.0)
    assert kept.get(b"1", 1.0) == ANSWER
    kept.put(b"3", ANSWER, 2.0)

    assert [kept.get(key, 3.0) is not None for key in (b"1", b"2", b"3")] == [True, False, True]
    assert (len(kept), kept.bytes) == (2, 2 * SIZE)


def test_an_answer_lives_for_its_time() -> None:
    """Being asked for does not prolong it; being put again does."""
    kept = Answers(10 * SIZE, ttl_s=60)
    kept.put(b"1", ANSWER, 0.0)
    assert kept.get(b"1", 59.9) == ANSWER
    assert kept.get(b"1", 60.0) is None
    assert (len(kept), kept.bytes) == (0, 0)
    kept.put(b"1", ANSWER, 60.0)
    kept.put(b"1", ANSWER, 100.0)

    assert kept.get(b"1", 159.0) == ANSWER
    assert kept.bytes == SIZE


def test_what_is_too_large_is_not_kept() -> None:
    """And nobody has to leave for it."""
    kept = Answers(SIZE, ttl_s=60)
    kept.put(b"1", ANSWER, 0.0)
    kept.put(b"2", replace(ANSWER, logits=(0.0,) * 1000), 0.0)

    assert (kept.get(b"1", 0.0), kept.get(b"2", 0.0)) == (ANSWER, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=1), st.integers(0, 40), st.floats(0, 100)), max_size=60))
def test_bytes_are_bounded_and_add_up(puts: list[tuple[bytes, int, float]]) -> None:
    """Whatever is put, in whatever order."""
    kept = Answers(4 * SIZE, ttl_s=50)
    for key, logits, now_s in puts:
        kept.put(key, replace(ANSWER, logits=(0.0,) * logits), now_s)
        kept.get(key, now_s + 25)
        assert kept.bytes <= 4 * SIZE

    assert kept.bytes == sum(each.size for each in kept._kept.values())
