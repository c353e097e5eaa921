"""Room for an endpoint's deliveries: who may have a place, when to look for those left out, what is forgotten (W8)."""

from __future__ import annotations

import pytest

from tests.support.time import VirtualClock
from workers.rooms import FORGET_AFTER_S, Rooms


@pytest.fixture
def rooms(clock: VirtualClock) -> Rooms:
    return Rooms(clock)


def fill(rooms: Rooms, id: str, *, failing: bool = False) -> None:
    room = rooms.of(id)
    room.is_failing = failing
    room.claimed = room.most


def test_an_endpoint_that_answers_may_have_fifty_waiting_and_one_that_failed_none(rooms: Rooms) -> None:
    room = rooms.of("a")

    most = room.most, rooms.of("a").left
    room.is_failing = True

    assert (most, (room.most, room.left)) == ((55, 55), (5, 5))


def test_one_that_fails_while_many_wait_has_no_room_until_they_are_done(rooms: Rooms) -> None:
    fill(rooms, "a")

    rooms.of("a").is_failing = True

    assert rooms.of("a").left == 0
    assert rooms.full() == ["a"]


def test_only_endpoints_without_room_are_left_out(rooms: Rooms) -> None:
    fill(rooms, "full")
    rooms.of("busy").claimed = 54

    assert rooms.full() == ["full"]


def test_what_was_left_out_is_looked_for_when_half_of_the_room_is_free(rooms: Rooms) -> None:
    """Not at each that is done, or each would be leased alone; and once."""
    fill(rooms, "a")
    rooms.full()

    looks = [rooms.free("a") for _ in range(40)]

    assert (looks.index(True), looks.count(True)) == (27, 1)  # 28 of 55


def test_of_an_endpoint_that_fails_too(rooms: Rooms) -> None:
    fill(rooms, "a", failing=True)
    rooms.full()

    assert [rooms.free("a") for _ in range(5)] == [False, False, True, False, False]


def test_what_was_left_out_is_looked_for_at_the_latest_when_nothing_is_under_way(rooms: Rooms) -> None:
    """An endpoint that had fifty waiting when it failed."""
    fill(rooms, "a")
    rooms.full()
    room = rooms.of("a")
    room.claimed = 1
    room.is_failing = False
    room.leaves_out = True

    assert rooms.free("a")


def test_nobody_looks_when_nothing_was_left_out(rooms: Rooms) -> None:
    fill(rooms, "a")

    assert not any(rooms.free("a") for _ in range(55))


def test_an_endpoint_that_answers_is_forgotten_at_once(rooms: Rooms) -> None:
    rooms.of("a").claimed = 1

    rooms.free("a")

    assert len(rooms) == 0


async def test_one_that_failed_is_remembered_for_a_while_and_then_forgotten(rooms: Rooms, clock: VirtualClock) -> None:
    for id in ("idle", "busy"):
        rooms.of(id).claimed = 2
        rooms.of(id).is_failing = True
        rooms.free(id)
    rooms.free("idle")
    await clock.advance(FORGET_AFTER_S)
    rooms.full()
    kept = len(rooms)
    await clock.advance(FORGET_AFTER_S)

    rooms.full()

    assert (kept, len(rooms), rooms.of("busy").is_failing) == (2, 1, True)
