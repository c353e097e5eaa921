"""Room for an endpoint's deliveries: who may have a place, when to look for those left out, what is forgotten (W8)."""

from __future__ import annotations

import pytest

from tests.support.time import VirtualClock
from workers.rooms import FORGET_AFTER_S, Rooms


@pytest.fixture
def rooms(clock: VirtualClock) -> Rooms:
    return Rooms(clock)


def fill(rooms: Rooms, id: str, *, well: bool = True, took_s: float = 0.01) -> None:
    rooms.answered(id, well=well, took_s=took_s)
    rooms.of(id).claimed = rooms.of(id).most


@pytest.mark.parametrize(
    ("took_s", "most"), [(0.0, 105), (0.01, 105), (0.05, 105), (0.1, 55), (1.0, 10), (4.9, 6), (9.9, 5)]
)
def test_as_many_may_wait_as_will_be_sent_within_a_second(rooms: Rooms, took_s: float, most: int) -> None:
    """Slow endpoints must not fill the places of quick ones."""
    rooms.answered("a", well=True, took_s=took_s)

    assert rooms.of("a").most == most


def test_of_an_endpoint_that_nobody_knows_none_may_wait_nor_of_one_that_failed(rooms: Rooms) -> None:
    """Or a hundred new ones that hang would fill a process."""
    unknown = rooms.of("a").most
    rooms.answered("a", well=False, took_s=0.01)

    assert (unknown, rooms.of("a").most) == (5, 5)


def test_one_that_fails_while_many_wait_has_no_room_until_they_are_done(rooms: Rooms) -> None:
    fill(rooms, "a")

    rooms.answered("a", well=False, took_s=0.01)

    assert rooms.of("a").left == 0
    assert rooms.full() == ["a"]


def test_only_endpoints_without_room_are_left_out(rooms: Rooms) -> None:
    fill(rooms, "full")
    rooms.answered("busy", well=True, took_s=0.01)
    rooms.of("busy").claimed = 104

    assert rooms.full() == ["full"]


def test_what_was_left_out_is_looked_for_when_half_of_the_room_is_free(rooms: Rooms) -> None:
    """Not at each that is done, or each would be leased alone; and once."""
    fill(rooms, "a")
    rooms.full()

    looks = [rooms.free("a") for _ in range(105)]

    assert (looks.index(True), looks.count(True)) == (52, 1)  # 53 of 105


def test_of_an_endpoint_that_fails_too(rooms: Rooms) -> None:
    fill(rooms, "a", well=False)
    rooms.full()

    assert [rooms.free("a") for _ in range(5)] == [False, False, True, False, False]


def test_what_was_left_out_is_looked_for_at_the_latest_when_nothing_is_under_way(rooms: Rooms) -> None:
    """An endpoint that had a hundred waiting when it failed."""
    fill(rooms, "a")
    rooms.answered("a", well=False, took_s=0.01)
    rooms.full()

    looks = [rooms.free("a") for _ in range(105)]

    assert (looks.index(True), looks.count(True)) == (102, 1)  # two of five are under way


def test_rows_that_went_back_are_looked_for_when_there_is_room(rooms: Rooms) -> None:
    """Room may have become free while they were on their way, and whoever freed it found nothing."""
    fill(rooms, "full")
    fill(rooms, "half")
    for _ in range(60):
        rooms.free("half")

    looks = rooms.left_out(["full"]), rooms.left_out(["full", "half"]), rooms.left_out([])

    assert looks == (False, True, False)
    assert any(rooms.free("full") for _ in range(105))
    assert not any(rooms.free("half") for _ in range(45))


def test_nobody_looks_when_nothing_was_left_out(rooms: Rooms) -> None:
    fill(rooms, "a")

    assert not any(rooms.free("a") for _ in range(105))


def test_when_an_endpoint_that_nobody_knew_has_answered_more_are_looked_for(rooms: Rooms) -> None:
    rooms.of("a").claimed = rooms.of("a").most
    rooms.full()

    rooms.answered("a", well=True, took_s=0.01)

    assert rooms.free("a")


async def test_how_an_endpoint_answers_is_remembered_for_a_while_and_then_forgotten(
    rooms: Rooms, clock: VirtualClock
) -> None:
    for id in ("idle", "busy"):
        rooms.of(id).claimed = 2
        rooms.answered(id, well=False, took_s=0.01)
        rooms.free(id)
    rooms.free("idle")
    await clock.advance(FORGET_AFTER_S)
    rooms.full()
    kept = len(rooms)
    await clock.advance(FORGET_AFTER_S)

    rooms.full()

    assert (kept, len(rooms), rooms.of("busy").is_failing) == (2, 1, True)
