"""The pace of numbers: so many dials a second, in order, and rests when a carrier takes nothing (`telephony.md`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from schema.rules.calls import CallPhase, EndReason, WaitReason
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import calls, phone_numbers
from schema.tables import PhoneNumber
from tests.schema.conftest import Act
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

SECOND = timedelta(seconds=1)


def most_within_a_second(instants: Sequence[datetime]) -> int:
    return max(len([other for other in instants if start <= other < start + SECOND]) for start in instants)


async def number_of(runtime: Runtime, viewer: Viewer, id: str) -> PhoneNumber:
    return await phone_numbers.get(runtime.snapshot(viewer), id)


async def polled(workers: Workers, seconds: int) -> None:
    """Workers who look at the queue once a second and at no other time, and wait to the instant under a lease."""
    for _ in range(seconds):
        await workers.tick()
        await workers.begin()
        next_look = workers.clock.now() + SECOND
        while soon := [wait for wait in workers.waits.values() if wait.at < next_look]:
            wait = min(soon, key=lambda wait: wait.at)
            await workers.clock.advance(max(0.0, (wait.at - workers.clock.now()).total_seconds()))
            del workers.waits[wait.held.id]
            await workers.begin_one(wait.held)
        await workers.clock.advance((next_look - workers.clock.now()).total_seconds())


# --- so many a second ---


@on_both
@pytest.mark.parametrize("calls_per_second", [1, 3, 7])
async def test_never_more_than_so_many_in_any_second_and_in_order(
    runtime: Runtime, viewer: Viewer, workers: Workers, calls_per_second: int
) -> None:
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=calls_per_second)
    await workers.new_campaign(30, phone_number_id=sales.id, max_concurrent_calls=1_000)
    start = workers.clock.now()

    await workers.on_to(start + timedelta(minutes=1))

    instants = [when for when, _, _ in workers.dials]
    assert len(instants) == 30
    assert most_within_a_second(instants) == calls_per_second
    assert instants[-1] <= start + timedelta(seconds=29.1 / calls_per_second)
    assert [call.id for call in await workers.calls()] == [dial.held.id for _, _, dial in workers.dials]


@on_both
async def test_single_calls_and_campaigns_of_one_number_share_its_pace(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=2)
    for _ in range(2):
        await workers.new_campaign(5, phone_number_id=sales.id, max_concurrent_calls=10)
    for _ in range(5):
        await seeds.call(runtime, viewer, phone_number_id=sales.id)
    free = await workers.new_campaign(5, max_concurrent_calls=10)

    await workers.on_to(workers.clock.now() + timedelta(minutes=1))

    paced = {call.id for call in await workers.calls() if call.phone_number_id == sales.id}
    instants = [when for when, _, dial in workers.dials if dial.held.id in paced]
    assert (len(instants), most_within_a_second(instants)) == (15, 2)
    start = instants[0]
    assert [when for when, _, dial in workers.dials if (await workers.call(dial.held.id)).campaign_id == free.id] == [
        start
    ] * 5


@on_both
async def test_the_pace_is_kept_by_workers_who_look_once_a_second(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    """A call is back before its place comes, or it would be late for it and go to the end, again and again."""
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=2)
    await clock.advance(0.7)
    await workers.new_campaign(40, phone_number_id=sales.id, max_concurrent_calls=1_000)

    await polled(workers, 21)

    instants = [when for when, _, _ in workers.dials]
    assert (len(instants), most_within_a_second(instants)) == (40, 2)
    assert [dial.to for _, _, dial in workers.dials] == [call.to_number for call in await workers.calls()]


@on_both
async def test_a_call_that_waits_for_its_place_says_so_and_takes_no_slot(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    campaign = await workers.new_campaign(6, phone_number_id=sales.id, max_concurrent_calls=6)
    start = workers.clock.now()

    await workers.work()

    found = [(call.phase, call.waiting_for, call.dial_at) for call in await workers.calls(campaign)]
    queued, waiting = CallPhase.QUEUED, CallPhase.WAITING
    assert found == [
        (CallPhase.DIALING, None, None),
        (queued, None, start + SECOND),
        (queued, None, start + 2 * SECOND),
        *((waiting, WaitReason.PACE, start + seconds * SECOND) for seconds in (3, 4, 5)),
    ]


@on_both
async def test_a_call_that_waits_for_its_place_gives_its_slot_to_others(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """At once: what one campaign's pace leaves free, another dials with."""
    await seeds.plan(runtime, viewer, Plan.PROFESSIONAL)
    slow = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    first = await workers.new_campaign(20, phone_number_id=slow.id, max_concurrent_calls=20)
    await workers.tick()
    other = await workers.new_campaign(40, max_concurrent_calls=17)
    assert len(await workers.calls(first)) == 20

    await workers.work()

    assert await workers.under_way() == {first.id: 1, other.id: 17}


@on_both
async def test_a_late_call_gets_a_new_place(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """Places whose calls come late, all at the same time, are not dialed all at the same time."""
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    await workers.new_campaign(5, phone_number_id=sales.id, max_concurrent_calls=5)
    await workers.work()
    await workers.clock.advance(30)  # nobody looked

    await workers.on_to(workers.clock.now() + timedelta(minutes=1))

    instants = [when for when, _, _ in workers.dials]
    assert (len(instants), most_within_a_second(instants)) == (5, 1)


@on_both
async def test_the_place_of_a_worker_that_died_harms_nobody(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    await workers.new_campaign(3, phone_number_id=sales.id, max_concurrent_calls=3)
    await workers.work()
    workers.waits.clear()  # those who waited under a lease are gone

    await workers.on_to(workers.clock.now() + timedelta(minutes=2))

    instants = [when for when, _, _ in workers.dials]
    assert (len(instants), most_within_a_second(instants)) == (3, 1)
    assert len({dial.to for _, _, dial in workers.dials}) == 3


@on_both
async def test_what_happens_while_a_place_is_waited_for_counts(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    """P2, L5: the gate is asked again at the place."""
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    campaign = await workers.new_campaign(3, phone_number_id=sales.id, max_concurrent_calls=3)
    (first,) = await workers.work()
    second, third = list(workers.waits)
    await act(calls.hang_up, third)
    await workers.update(campaign, status="paused")

    await workers.on_to(workers.clock.now() + timedelta(minutes=1))

    assert [dial.held.id for _, _, dial in workers.dials] == [first.held.id]
    assert (await workers.call(second)).waiting_for is WaitReason.CAMPAIGN_PAUSED
    assert (await workers.call(third)).end_reason is EndReason.CANCELLED
    await workers.update(campaign, status="active")
    assert [dial.held.id for dial in await workers.work()] == [second]


@on_both
@pytest.mark.parametrize(("pace", "most", "seconds"), [(None, 60, 2), (20, 20, 5), (1, 1, 60)])
async def test_another_pace_counts_for_those_who_wait(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers, pace: int | None, most: int, seconds: int
) -> None:
    """The next dial obeys; what is waited for under a lease, for two seconds at most, comes first."""
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=2)
    await workers.new_campaign(60, phone_number_id=sales.id, max_concurrent_calls=1_000)
    await workers.work()
    start = workers.clock.now()

    await act(phone_numbers.update, sales.id, {"calls_per_second": pace})
    await workers.on_to(start + timedelta(seconds=120))

    instants = [when for when, _, _ in workers.dials]
    assert len(instants) == 60
    after = [when for when in instants if when >= start + 2 * SECOND]
    assert most_within_a_second(after) <= most
    assert instants[-1] <= start + timedelta(seconds=seconds + 2)


# --- a carrier that takes nothing ---


@on_both
async def test_a_number_rests_after_setbacks_in_a_row_and_is_back_with_a_success(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    sales = await seeds.phone_number(runtime, viewer)
    await workers.new_campaign(8, phone_number_id=sales.id, max_concurrent_calls=4)
    first, second, third, fourth = await workers.work()
    await workers.not_placed(first, after_s=100)
    await workers.not_placed(second, after_s=100)
    assert (await number_of(runtime, viewer, sales.id)).next_dial_at is None

    await workers.not_placed(third, after_s=100)

    now = workers.clock.now()
    number = await number_of(runtime, viewer, sales.id)
    assert (number.setbacks, number.next_dial_at) == (3, now + 2 * SECOND)
    await workers.over(fourth)
    assert await workers.work() == []  # its next contact has a place, after the rest
    (knock,) = await workers.on_to(now + 2 * SECOND)
    assert knock.is_after_setbacks
    await workers.submitted(knock)
    number = await number_of(runtime, viewer, sales.id)
    assert (number.setbacks, number.next_dial_at) == (0, None)


@on_both
async def test_a_number_that_is_back_keeps_its_pace(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """The places of those who waited are still theirs."""
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    await workers.new_campaign(4, phone_number_id=sales.id, max_concurrent_calls=4)
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(PhoneNumber, sales.id)).setbacks = 3

    (knock,) = await workers.work()
    await workers.submitted(knock)
    await workers.new_campaign(4, phone_number_id=sales.id, max_concurrent_calls=4)
    await workers.on_to(workers.clock.now() + timedelta(minutes=1))

    instants = [when for when, _, _ in workers.dials]
    assert (len(instants), most_within_a_second(instants)) == (8, 1)


async def test_an_outage_costs_no_contact_and_is_over_when_it_is_over(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    campaign = await workers.new_campaign(10, max_concurrent_calls=3)
    start = workers.clock.now()
    refused = 0

    while workers.clock.now() < start + timedelta(minutes=5):
        for dial in await workers.on_to(workers.clock.now() + SECOND):
            refused += 1
            assert await workers.not_placed(dial)
    assert await workers.statuses(campaign) == {"calling": 3, "pending": 7}
    await workers.on_to(workers.clock.now() + timedelta(minutes=30), lambda _: EndReason.NO_ANSWER)

    assert 3 < refused < 40
    assert (await workers.campaign(campaign)).calls_completed == 10
    assert [contact.attempts for contact in await workers.contacts(campaign)] == [1] * 10


async def test_an_outage_of_hours_costs_no_contact(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """The carrier cannot be reached at all: each call gives up after a day, not after six tries."""
    campaign = await workers.new_campaign(6, max_concurrent_calls=3)
    end = workers.clock.now() + timedelta(hours=2)
    refused = 0

    while workers.clock.now() < end:
        for dial in await workers.on_to(workers.clock.now() + timedelta(minutes=1)):
            refused += 1
            assert await workers.not_placed(dial, EndReason.CARRIER_UNREACHABLE)

    assert sum(contact.finished_at is not None for contact in await workers.contacts(campaign)) == 0
    assert 3 * 6 < refused < 100  # each waits ten minutes at last
    await workers.on_to(workers.clock.now() + timedelta(hours=1), lambda _: EndReason.NO_ANSWER)
    assert (await workers.campaign(campaign)).calls_completed == 6


async def test_a_cancelled_campaign_leaves_no_places_behind(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    """Its three hundred calls had the number for the next five minutes."""
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    campaign = await workers.new_campaign(300, phone_number_id=sales.id, max_concurrent_calls=300)
    other = await workers.new_campaign(2, phone_number_id=sales.id, max_concurrent_calls=2)
    await workers.work()

    await workers.update(campaign, status="cancelled")
    await workers.on_to(clock.now() + 10 * SECOND)

    assert [call.phase for call in await workers.calls(other)] == [CallPhase.DIALING] * 2
    instants = [when for when, _, _ in workers.dials]
    assert most_within_a_second(instants) == 1


async def test_a_number_does_not_wait_for_as_long_as_the_clock_was_set_back(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    await clock.advance(3_600)
    await workers.new_campaign(1, phone_number_id=sales.id)
    await workers.work(lambda _: EndReason.NO_ANSWER)

    clock._seconds -= 3_600
    campaign = await workers.new_campaign(1, phone_number_id=sales.id)
    await workers.on_to(clock.now() + SECOND, lambda _: EndReason.NO_ANSWER)

    assert (await workers.campaign(campaign)).calls_completed == 1
