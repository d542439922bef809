from __future__ import annotations

import hashlib

import numpy as np
import pytest

from service.core.errors import InvalidInput, NoSuchPicture
from service.introspect.pictures import PictureStore, Seen


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> PictureStore:
    return PictureStore(max_bytes=10, ttl_s=60, now=clock)


def test_a_picture_is_found_by_the_hash_of_its_bytes(store: PictureStore) -> None:
    """So anybody can tell the id without asking."""
    assert store.put(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert store.get(hashlib.sha256(b"abc").hexdigest()) == b"abc"


def test_a_picture_is_forgotten_a_while_after_its_last_use(store: PictureStore, clock: Clock) -> None:
    """Each use begins the time anew."""
    id_ = store.put(b"abc")
    clock.now = 59
    store.get(id_)
    clock.now = 118
    assert store.get(id_) == b"abc"

    clock.now = 178
    with pytest.raises(NoSuchPicture, match=r"picture\.id: no picture '.*' is kept; send it again"):
        store.get(id_)


def test_the_picture_unused_for_longest_leaves_a_full_store(store: PictureStore) -> None:
    """Bytes are what counts; the same picture twice counts once."""
    first, second = store.put(b"1111"), store.put(b"2222")
    store.put(b"1111")
    third = store.put(b"333")

    assert [store.get(first), store.get(third)] == [b"1111", b"333"]
    with pytest.raises(NoSuchPicture):
        store.get(second)


def test_a_picture_larger_than_the_store_is_refused(store: PictureStore) -> None:
    """Rather than forgotten at once."""
    with pytest.raises(InvalidInput, match=r"picture\.keep: pictures of at most 10 bytes are kept, got 11"):
        store.put(b"12345678901")


def seen(size: int) -> Seen:
    return Seen(np.zeros((size - 4, 1, 1), np.uint8), np.zeros(1, np.float32))


def test_what_models_made_of_a_picture_leaves_with_it(store: PictureStore, clock: Clock) -> None:
    """By the model's file, for as long as the picture is kept."""
    id_ = store.put(b"abc")
    store.saw(id_, "one", seen(6))

    assert store.seen(id_, "one") is not None
    assert store.seen(id_, "other") is None
    clock.now = 61
    store.put(b"def")
    assert store.seen(id_, "one") is None


def test_what_models_made_counts_as_the_pictures_bytes(store: PictureStore) -> None:
    """The oldest picture makes room for it; where there is none for both, the picture matters more."""
    first, second = store.put(b"1111"), store.put(b"222")
    store.saw(second, "one", seen(7))
    with pytest.raises(NoSuchPicture):
        store.get(first)

    store.saw(second, "two", seen(5))
    assert store.seen(second, "two") is None
    assert store.get(second) == b"222"


def test_nothing_is_remembered_of_a_picture_that_is_not_kept(store: PictureStore) -> None:
    """Nor of a model that is gone."""
    store.saw("unknown", "one", seen(5))
    assert store.seen("unknown", "one") is None

    id_ = store.put(b"abc")
    store.saw(id_, "one", seen(6))
    store.forget("one")
    assert store.seen(id_, "one") is None
