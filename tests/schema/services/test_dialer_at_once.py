"""Dialing by many at once, in real transactions: no limit is passed, nothing is dialed twice, nobody is locked out."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.due import Fenced
from schema.errors import Invalid
from schema.rules.calls import LIVE, CallPhase, EndReason, WaitReason
from schema.rules.campaigns import CampaignStatus
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import dialer, dialing
from schema.tables import Call, Campaign, Dialer
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.runtime import on_both
from tests.support.worlds import World

on_postgresql = pytest.mark.parametrize("database", ["postgresql"])
NINE_TO_FIVE = {"start": "09:00", "end": "17:00"}


async def begun(workers: Workers, leases: list[due.Lease]) -> list[Any]:
    """All of them at once."""
    return await asyncio.gather(*(workers.begin_one(held) for held in leases))


async def slots_used(runtime: Runtime) -> int:
    return len(await runtime.database.read(select(Call).where(col(Call.phase).in_(LIVE))))


@on_both
async def test_twenty_calls_dialed_at_once_take_the_slots_there_are(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """K6."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    rows = [await seeds.call(runtime, viewer) for _ in range(20)]

    dials = await begun(workers, await due.lease(runtime, Call, limit=20, seconds=15))

    assert len([dial for dial in dials if dial is not None]) == await slots_used(runtime) == 2
    waiting = [await workers.call(row.id) for row in rows]
    assert [call.waiting_for for call in waiting if call.phase is CallPhase.WAITING] == [WaitReason.PLAN_LIMIT] * 18


@on_both
async def test_a_campaigns_calls_dialed_at_once_keep_to_its_limit(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """P4, P6: lowered after the dialer gave the slots, and before the dials."""
    campaign = await workers.new_campaign(20, max_concurrent_calls=20)
    await workers.tick()
    await workers.update(campaign, max_concurrent_calls=3)

    dials = await begun(workers, await due.lease(runtime, Call, limit=20, seconds=15))

    assert len([dial for dial in dials if dial is not None]) == await slots_used(runtime) == 3
    while workers.live:
        assert await slots_used(runtime) <= 3
        for dial in [dial for _, _, dial in workers.dials if dial.held.id in workers.live]:
            await workers.over(dial)
        await workers.work()
    assert (await workers.campaign(campaign)).calls_completed == 20


@on_both
async def test_six_ticks_at_once_give_the_slots_out_once(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """Each of six workers holds, or held, a lease on the dialer."""
    await seeds.plan(runtime, viewer, Plan.PROFESSIONAL)
    rows = [await workers.new_campaign(40, max_concurrent_calls=40) for _ in range(3)]
    leases = []
    for _ in range(6):
        leases += await due.lease(runtime, Dialer, limit=1, seconds=10)
        async with runtime.transaction(viewer) as tx:
            tx.wake()

    async def tick(held: due.Lease) -> str:
        try:
            async with runtime.transaction(viewer) as tx:
                await dialer.tick(tx, held)
        except Fenced:
            return "fenced"
        return "ticked"

    outcomes = await asyncio.gather(*(tick(held) for held in leases))

    assert sorted(outcomes) == ["fenced"] * 5 + ["ticked"]
    assert [len(await workers.calls(row)) for row in rows] == [7, 7, 6]


@on_both
async def test_ticks_begins_and_ends_at_once_never_pass_a_limit(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """Six of each, over and over: slots are looked at after every commit."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    campaign = await workers.new_campaign(12, max_concurrent_calls=3)
    other = await workers.new_campaign(12, max_concurrent_calls=3)
    singles = [await seeds.call(runtime, viewer) for _ in range(6)]
    seen: list[int] = []
    to_end: list[dialing.Dial] = []

    async def work() -> None:
        for _ in range(25):
            for held in await due.lease(runtime, Dialer, limit=1, seconds=10):
                try:
                    async with runtime.transaction(viewer) as tx:
                        await dialer.tick(tx, held)
                except Fenced:
                    pass
            for lease in await due.lease(runtime, Call, limit=2, seconds=15):
                dial = await workers.begin_one(lease)
                if dial is not None:
                    to_end.append(dial)
            seen.append(await slots_used(runtime))
            if to_end:
                await workers.over(to_end.pop(0))

    await asyncio.gather(*(work() for _ in range(6)))
    for dial in to_end:
        await workers.over(dial)
    await workers.work(lambda _: EndReason.NO_ANSWER)

    assert max(seen) == 2
    assert len({to for _, to, _ in workers.dials}) == len(workers.dials) == 30
    assert [(await workers.campaign(row)).calls_completed for row in (campaign, other)] == [12, 12]
    assert {(await workers.call(row.id)).end_reason for row in singles} == {EndReason.NO_ANSWER}


@on_postgresql
async def test_an_edit_of_hours_does_not_wait_for_a_call_that_is_about_to_ask_the_gate(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """Nor the call for the edit, for ever: a call is locked before its campaign."""
    campaign = await workers.new_campaign(1, contact_window=NINE_TO_FIVE, timezone="UTC")
    call = await seeds.call(
        runtime,
        viewer,
        campaign_id=campaign.id,
        phase=CallPhase.WAITING,
        waiting_for=WaitReason.CONTACT_WINDOW,
    )
    (held,) = [lease for lease in await due.lease(runtime, Call, limit=10, seconds=15) if lease.id == call.id]

    async with runtime.transaction(viewer) as tx:
        await tx.lock(Call, held.id)
        await asyncio.wait_for(workers.update(campaign, contact_window={"start": "10:00", "end": "11:00"}), 20)
        await tx.lock(Campaign, campaign.id)

    assert (await workers.campaign(campaign)).contact_window_start == "10:00"


@on_postgresql
@pytest.mark.parametrize("seed", range(4))
async def test_no_two_verbs_wait_for_each_other(runtime: Runtime, viewer: Viewer, workers: Workers, seed: int) -> None:
    """Everything that touches a campaign, at once: none is told of a deadlock, and no row breaks an invariant."""
    world = World(workers, random.Random(seed))
    for _ in range(3):
        await world.new_campaign()
    await seeds.plan(runtime, viewer, Plan.PROFESSIONAL)

    async def some() -> None:
        for _ in range(50):
            with suppress(Fenced, KeyError):  # somebody else was faster
                await world.choice.choice(world.events)()

    await asyncio.gather(*(some() for _ in range(8)))

    for row in world.campaigns:
        with suppress(Invalid):  # it is over
            await workers.update(row, status="cancelled")
    await workers.work()
    live = {dial.held.id: dial for _, _, dial in workers.dials if dial.held.id in workers.live}  # some dialed twice
    for dial in live.values():
        await workers.over(dial)
    assert {call.campaign_id for call in await workers.calls() if call.ended_at is None} <= {None}


@on_both
async def test_nobody_is_rung_by_two_campaigns_at_the_same_time(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """Each of the two calls everybody, one after the other."""
    one = await workers.new_campaign(3, max_concurrent_calls=10)
    ids = [contact.contact_id for contact in await workers.contacts(one)]
    other = await workers.new_campaign(ids, max_concurrent_calls=10)
    await workers.tick()

    dials = await begun(workers, await due.lease(runtime, Call, limit=20, seconds=15))

    begun_now = [dial for dial in dials if dial is not None]
    assert sorted(dial.to for dial in begun_now) == sorted({call.to_number for call in await workers.calls()})
    held = [call for call in await workers.calls() if call.phase is CallPhase.WAITING]
    assert [call.waiting_for for call in held] == [WaitReason.NUMBER_BUSY] * 3
    for dial in begun_now:
        await workers.over(dial)
    await workers.on_to(workers.clock.now() + timedelta(seconds=5), lambda _: EndReason.NO_ANSWER)
    assert [(await workers.campaign(each)).status for each in (one, other)] == [CampaignStatus.COMPLETED] * 2
    assert len(workers.dials) == 6
