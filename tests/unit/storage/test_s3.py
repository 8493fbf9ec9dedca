"""Bytes that come again while somebody removes them, in every order in which the two can take their turns."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TypeVar, cast

import pytest

from services.errors import StoreAway
from services.storage.bucket import Bucket
from services.storage.keys import place_of
from services.storage.s3 import S3Store

OLD, NOW = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC)
KEY = "ab" * 32
STEPS = 5
"""Requests of the longest way through either."""
T = TypeVar("T")


class Turns:
    """Lets two threads make one request after the other in a given order; who has ended gives its turns away."""

    def __init__(self, order: str) -> None:
        self._order = deque(order)
        self._changed = threading.Condition()
        self._ended: set[str] = set()

    def take(self, who: str, request: Callable[[], T]) -> T:
        with self._changed:
            self._changed.wait_for(lambda: not self._order or self._order[0] == who)
            if self._order:
                self._order.popleft()
            try:
                return request()
            finally:
                self._drop()

    def end(self, who: str) -> None:
        with self._changed:
            self._ended.add(who)
            self._drop()

    def _drop(self) -> None:
        while self._order and self._order[0] in self._ended:
            self._order.popleft()
        self._changed.notify_all()


class Requests:
    """What one of the two asks of a bucket that both see."""

    def __init__(self, objects: dict[str, tuple[bytes, datetime]], turns: Turns, who: str) -> None:
        self._objects, self._turns, self._who = objects, turns, who

    def put(self, key: str, data: bytes) -> None:
        self._turns.take(self._who, lambda: self._objects.update({key: (data, NOW)}))

    def written_at(self, key: str) -> datetime | None:
        return self._turns.take(self._who, lambda: self._objects.get(key, (b"", None))[1])

    def touch(self, key: str) -> None:
        self._turns.take(self._who, lambda: self._objects.update({key: (self._objects[key][0], NOW)}))

    def remove(self, key: str) -> None:
        self._turns.take(self._who, lambda: self._objects.pop(key, None))


def orders() -> list[str]:
    """Every order of two times so many steps."""
    return [
        "".join("p" if place in chosen else "d" for place in range(2 * STEPS))
        for chosen in combinations(range(2 * STEPS), STEPS)
    ]


@pytest.mark.parametrize("present", [True, False])
def test_what_put_returned_for_is_there_whatever_discard_does_meanwhile(present: bool) -> None:
    outcomes = set()
    for order in orders():
        objects = {place_of(KEY): (b"pixels", OLD)} if present else {}
        turns = Turns(order)
        stores = {who: S3Store(cast("Bucket", Requests(objects, turns, who)), "") for who in "pd"}
        removed: list[bool] = []

        def discard(store: S3Store = stores["d"], turns: Turns = turns, removed: list[bool] = removed) -> None:
            removed.append(store.discard(KEY, NOW - timedelta(days=90)))
            turns.end("d")

        thread = threading.Thread(target=discard)
        thread.start()
        try:
            stores["p"].put(b"pixels", KEY)
        except StoreAway:
            kept = False
        else:
            kept = True
        turns.end("p")
        thread.join()
        assert not kept or place_of(KEY) in objects, order
        assert not any(path.startswith("leaving/") for path in objects), order
        outcomes.add((kept, removed[0]))
    expected = {(True, True), (True, False), (False, True), (False, False)} if present else {(True, False)}
    assert outcomes == expected


def test_the_mark_of_somebody_who_died_is_in_nobodys_way() -> None:
    for age, kept in ((timedelta(minutes=5), False), (timedelta(hours=2), True)):
        objects = {place_of(KEY): (b"pixels", OLD), f"leaving/{KEY}": (b"", datetime.now(UTC) - age)}
        store = S3Store(cast("Bucket", Requests(objects, Turns(""), "p")), "")
        if kept:
            assert store.put(b"pixels", KEY) == KEY
        else:
            with pytest.raises(StoreAway, match="being removed"):
                store.put(b"pixels", KEY)
