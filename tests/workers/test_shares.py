"""Places that many share: the last ones are never one owner's alone, and who was left out is looked for (W8)."""

from __future__ import annotations

import pytest

from workers.shares import LOOK_FOR, Shares


def fill(shares: Shares, owner: str) -> int:
    """As many as it may have; returns how many were taken."""
    taken = 0
    while shares.take(owner):
        taken += 1
    return taken


@pytest.mark.parametrize(("times", "first", "second"), [(1, 50, 25), (2, 67, 22), (4, 80, 16)])
def test_who_takes_what_there_is_leaves_some_and_so_does_the_next(times: int, first: int, second: int) -> None:
    shares = Shares(100, times=times)

    assert [fill(shares, owner) for owner in ("a", "b")] == [first, second]
    assert shares.take("c")


def test_who_has_many_gets_no_more_until_it_has_no_more_than_the_others() -> None:
    """Nothing is taken away, but with each that is done the shares become more equal."""
    shares = Shares(1_000, times=2)
    held = {owner: fill(shares, owner) for owner in "abcde"}

    for _ in range(3_000):
        longest = max(held, key=lambda owner: held[owner])
        shares.free(longest)
        held[longest] -= 1
        for owner in held:
            held[owner] += fill(shares, owner)

    assert max(held.values()) - min(held.values()) <= 5
    assert fill(shares, "another") > 50


def test_room_is_what_can_be_taken() -> None:
    shares = Shares(103, times=4)
    room = shares.room("a")

    assert (room, fill(shares, "a"), shares.room("a"), shares.held("a")) == (83, 83, 0, 83)
    assert not shares.take("a")
    assert shares.held("a") == 83


def test_what_is_given_back_can_be_had_again() -> None:
    shares = Shares(100)
    fill(shares, "a")
    fill(shares, "b")
    for owner, held in (("a", 50), ("b", 25)):
        for _ in range(held):
            shares.free(owner)

    assert [shares.held(owner) for owner in "ab"] == [0, 0]
    assert fill(shares, "c") == 50


def test_only_owners_without_room_are_left_out() -> None:
    shares = Shares(100)
    fill(shares, "full")
    shares.take("busy")

    assert shares.full() == ["full"]


def test_nobody_looks_when_nothing_was_left_out() -> None:
    shares = Shares(100)
    fill(shares, "a")

    assert not any(shares.free("a") for _ in range(50))


def test_what_was_left_out_is_looked_for_when_there_is_room_for_many_and_once() -> None:
    """Not at each that is done, or each would be leased alone."""
    shares = Shares(1_000, times=4)
    fill(shares, "a")
    shares.full()

    looks = [shares.free("a") for _ in range(800)]

    assert (looks.index(True) + 1, looks.count(True)) == (LOOK_FOR, 1)


def test_whoever_gives_back_may_make_room_for_another() -> None:
    shares = Shares(100)
    for owner in ("a", "b"):
        fill(shares, owner)
    shares.full()
    for _ in range(50):
        shares.free("a")

    assert (shares.full(), shares.room("b") > 0) == ([], True)


def test_rows_that_went_back_are_looked_for_when_there_is_room() -> None:
    """Room may have become free while they were on their way, and whoever freed it found nothing."""
    shares = Shares(100)
    fill(shares, "full")

    assert (shares.left_out(["full"]), shares.left_out(["idle"]), shares.left_out([])) == (False, True, False)
