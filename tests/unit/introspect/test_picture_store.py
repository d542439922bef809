from __future__ import annotations

import hashlib

import pytest

from service.core.errors import InvalidInput, NoSuchPicture
from service.introspect.pictures import PictureStore


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
