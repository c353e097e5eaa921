"""The stage: how it starts, and that it cannot start half."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from schema.clock import SystemClock
from schema.due import Lease
from schema.runtime import Runtime
from schema.settings import Settings
from tests.support.runtime import Rings
from workers.stage import Places, Stage


class Performer:
    """Deals with a row by remembering it."""

    queue = "deliveries"
    places = 2
    lease_s = 1.0

    def __init__(self, _runtime: Runtime, done: Callable[[int], None]) -> None:
        self.done = done
        self.taken: list[Lease] = []
        self.heard: list[str] = []
        self.closed_on: str | None = None

    def take(self, leases: Sequence[Lease]) -> None:
        self.taken.extend(leases)
        self.done(len(leases))

    def busy(self) -> Sequence[Any]:
        return []

    def hear(self, topic: str) -> None:
        self.heard.append(topic)

    async def close(self, timeout_s: float) -> None:
        self.closed_on = threading.current_thread().name


def test_what_keeps_it_from_starting_is_raised_and_no_thread_is_left(settings: Settings, rings: Rings) -> None:
    """`jobs.md`, rule 10: a failure at the start exits at once."""

    def broken(_runtime: Runtime, _done: Callable[[int], None]) -> Performer:
        raise RuntimeError("no such carrier")

    stage = Stage(settings, SystemClock(), rings, [broken])

    with pytest.raises(RuntimeError, match="no such carrier"):
        stage.start()

    assert "stage" not in {thread.name for thread in threading.enumerate()}


def test_it_closes_its_performers_on_its_own_thread(settings: Settings, rings: Rings) -> None:
    made: list[Performer] = []

    def make(runtime: Runtime, done: Callable[[int], None]) -> Performer:
        made.append(Performer(runtime, done))
        return made[0]

    stage = Stage(settings, SystemClock(), rings, [make])
    stage.start()
    stage.stop()

    assert made[0].closed_on == "stage"
    assert "stage" not in {thread.name for thread in threading.enumerate()}


async def test_a_ring_for_a_queue_wakes_its_consumer_and_other_rings_reach_the_performers(
    settings: Settings, rings: Rings
) -> None:
    made: list[Performer] = []
    stage = Stage(
        settings, SystemClock(), rings, [lambda runtime, done: made.append(Performer(runtime, done)) or made[0]]
    )
    await asyncio.to_thread(stage.start)
    stage.reserve("deliveries", 0)
    waiting = asyncio.create_task(asyncio.to_thread(stage.wait, "deliveries", 30.0))

    rings.ring("deliveries")
    rings.ring("hangups")
    await asyncio.wait_for(waiting, 5)
    await asyncio.to_thread(stage.stop)

    assert made[0].heard == ["hangups"]


def test_places_are_taken_up_to_what_is_free_and_a_free_one_draws_attention() -> None:
    places = Places()
    places.free = 3

    taken = [places.reserve(2), places.reserve(2), places.reserve(2)]
    attention = places.attention.is_set()
    places.release(1)

    assert (taken, attention, places.attention.is_set(), places.free) == ([2, 1, 0], False, True, 1)


def test_places_that_were_not_needed_draw_no_attention(settings: Settings, rings: Rings) -> None:
    """A consumer that asks for more places than there are, and finds nothing due, must wait and not look for ever."""
    stage = Stage(settings, SystemClock(), rings, [Performer])
    stage.start()

    reserved = stage.reserve("deliveries", 50)
    stage.release("deliveries", reserved)
    attention = stage._places["deliveries"].attention.is_set()
    stage.stop()

    assert (reserved, attention) == (2, False)


async def test_what_takes_too_long_for_a_consumer_is_not_left_running(
    settings: Settings, rings: Rings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    monkeypatch.setattr("workers.stage._CALL_TIMEOUT_S", 0.01)
    stage = Stage(settings, SystemClock(), rings, [])
    await asyncio.to_thread(stage.start)

    with pytest.raises(TimeoutError):
        await asyncio.to_thread(stage._call, endless())

    assert await asyncio.to_thread(cancelled.wait, 5)
    await asyncio.to_thread(stage.stop)


async def test_chores_run_beside_the_performers_and_end_with_the_stage(settings: Settings, rings: Rings) -> None:
    said: list[str] = []

    async def chore(runtime: Runtime) -> None:
        said.append(f"{threading.current_thread().name} of {runtime.settings.data.name}")
        try:
            await asyncio.Event().wait()
        finally:
            said.append("over")

    stage = Stage(settings, SystemClock(), rings, [], chores=[chore])
    await asyncio.to_thread(stage.start)
    await asyncio.to_thread(stage.stop)

    assert said == [f"stage of {settings.data.name}", "over"]
