"""No wake is lost: whatever happens in whatever order, what could be dialed is due, and no clock makes it twice."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from schema.rules.calls import EndReason
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.tables import Call
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.invariants import broken_invariants
from tests.support.runtime import on_both
from tests.support.time import VirtualClock
from tests.support.worlds import World


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_nobody_waits_in_vain(
    runtime: Runtime, viewer: Viewer, workers: Workers, seed: int
) -> None:
    """At every rest: what could be dialed has been, no limit is passed, and every invariant holds."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    choice = random.Random(seed)
    world = World(workers, choice)
    events = [*world.events, *[world.time] * 3]
    for _ in range(3):
        await world.new_campaign()

    for _ in range(12):
        happened = choice.choices(events, k=choice.randint(1, 5))
        for event in happened:
            await event()
        await workers.work()
        told = [event.__name__ for event in happened]
        assert await world.waits_in_vain() == [], told
        assert await broken_invariants(runtime) == [], told

    numbers = [(dial.held.id, dial.attempt_id) for _, _, dial in workers.dials]
    assert len(set(numbers)) == len(numbers)


# --- a clock that is set ---


def set_back(clock: VirtualClock, seconds: float) -> None:
    clock._seconds -= seconds


@on_both
@pytest.mark.parametrize("shift_s", [-3_600, 3_600])
@pytest.mark.parametrize("when", ["before the tick", "before the gate", "under way", "before the retry"])
async def test_a_clock_that_is_set_by_an_hour_dials_nobody_twice_and_forgets_nobody(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock, when: str, shift_s: int
) -> None:
    policy = {"max_attempts": 2, "delay_minutes": [5], "on": ["no-answer"]}
    campaign = await workers.new_campaign(3, max_concurrent_calls=2, retry_policy=policy)
    await clock.advance(3_600)
    if when != "before the tick":
        await workers.tick()
    if when in {"under way", "before the retry"}:
        await workers.begin()
    if when == "before the retry":
        for _, _, dial in list(workers.dials):
            await workers.over(dial)

    set_back(clock, -shift_s)
    for _, _, dial in [each for each in workers.dials if each[2].held.id in workers.live]:
        await workers.over(dial)
    await workers.on_to(clock.now() + timedelta(hours=3), lambda _: EndReason.NO_ANSWER)

    tries = [(call.to_number, call.contact_attempt) for call in await workers.calls(campaign)]
    assert sorted(attempt for _, attempt in tries) == [1, 1, 1, 2, 2, 2]
    assert len(workers.dials) == len(set(tries)) == 6
    assert (await workers.campaign(campaign)).calls_completed == 3


@on_both
async def test_calls_that_wait_are_served_as_they_came_whatever_the_clock_says(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    """None is left behind, though ids of after are smaller than ids of before."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    rows: list[Call] = [await seeds.call(runtime, viewer) for _ in range(4)]
    dials = await workers.work()
    set_back(clock, 3_600)
    rows += [await seeds.call(runtime, viewer) for _ in range(2)]
    dials += await workers.work()

    while dials:
        await workers.over(dials.pop(0))
        dials += await workers.work()

    assert len(workers.dials) == 6
