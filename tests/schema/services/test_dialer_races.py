"""Two who work for a workspace at the same instant: no wake-up is lost, and nobody dials by an old time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col

from schema import due
from schema.rules.calls import WaitReason
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import agents, dialer, dialing
from schema.tables import Call, Campaign, Dialer
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.time import VirtualClock

pytestmark = pytest.mark.parametrize("database", ["postgresql"])


class LookUnderWay:
    """A dialer's look that has read what there is, and goes on when it is told to.

    Somebody woke the dialer between its lease and its look, so that its row says that it is due, and it is about to
    say when it looks again.
    """

    def __init__(self, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
        self._workers = workers
        self._monkeypatch = monkeypatch
        self._has_read = asyncio.Event()
        self._goes_on = asyncio.Event()
        self._look: asyncio.Task[None] | None = None

    async def begin(self, wakes: Campaign) -> None:
        settle = due.settle

        async def settle_later(*args: Any, **given: Any) -> Any:
            self._has_read.set()
            await self._goes_on.wait()
            return await settle(*args, **given)

        await self._workers.update(wakes, name="Woken for the lease")
        (held,) = await due.lease(self._workers.runtime, Dialer, limit=1, seconds=dialer.LEASE_S)
        await self._workers.update(wakes, name="Woken since")
        self._monkeypatch.setattr(dialer.due, "settle", settle_later)
        self._look = asyncio.create_task(self._tick(held))
        await self._has_read.wait()

    async def _tick(self, held: due.Lease) -> None:
        async with self._workers.runtime.transaction(self._workers.viewer) as tx:
            await dialer.tick(tx, held)

    async def end(self) -> None:
        assert self._look is not None
        self._goes_on.set()
        await self._look
        self._monkeypatch.undo()


async def test_a_campaign_resumed_during_a_look_is_dialed(
    runtime: Runtime, viewer: Viewer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await workers.new_campaign(3, max_concurrent_calls=3)
    await workers.update(row, status="paused")
    look = LookUnderWay(workers, monkeypatch)
    await look.begin(row)

    resumed = asyncio.create_task(workers.update(row, status="active"))
    await asyncio.wait({resumed}, timeout=0.2)
    await look.end()
    await resumed

    assert len(await workers.work()) == 3


async def test_an_agent_switched_on_during_a_look_is_used(
    runtime: Runtime, viewer: Viewer, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await workers.new_campaign(3, max_concurrent_calls=3)
    async with runtime.transaction(viewer) as tx:
        await agents.update(tx, row.agent_id, {"is_active": False})
    await workers.work()
    look = LookUnderWay(workers, monkeypatch)
    await look.begin(row)

    async def switch_on() -> None:
        async with runtime.transaction(viewer) as tx:
            await agents.update(tx, row.agent_id, {"is_active": True})

    switched = asyncio.create_task(switch_on())
    await asyncio.wait({switched}, timeout=0.2)
    await look.end()
    await switched

    assert len(await workers.work()) == 3


async def test_a_slot_that_is_freed_while_another_call_is_told_to_wait_is_given_to_it(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    await seeds.plan(runtime, viewer, Plan.STARTER)
    await workers.work()
    for _ in range(2):
        await seeds.call(runtime, viewer)
    first, _ = await workers.work()
    assert (await workers.dialer()).due_at is None
    waits = await seeds.call(runtime, viewer)
    (held,) = await due.lease(runtime, Call, limit=1, seconds=12, where=[col(Call.id) == waits.id])

    async with runtime.transaction(viewer) as tx:
        assert await dialing.begin(tx, held) is None
        over = asyncio.create_task(workers.over(first))
        await asyncio.wait({over}, timeout=0.2)
    await over

    assert [dial.held.id for dial in await workers.work()] == [waits.id]


async def test_hours_that_end_while_a_dial_waits_for_its_rows_have_ended(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    """P4: checked before each dial. It is 14:00, and somebody has the campaign for six seconds."""
    row = await workers.new_campaign(1, call_window={"start": "09:00", "end": "14:01"})
    await clock.advance(59.5)
    await workers.tick()
    (held,) = await due.lease(runtime, Call, limit=1, seconds=12)

    async with runtime.transaction(viewer) as tx:
        await tx.lock(Campaign, row.id)
        dial = asyncio.create_task(workers.begin_one(held))
        await asyncio.wait({dial}, timeout=0.3)
        await clock.advance(6)

    assert await dial is None
    assert [call.waiting_for for call in await workers.calls()] == [WaitReason.CALL_WINDOW]


async def test_the_pace_is_kept_by_those_who_waited_for_their_rows(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    sales = await seeds.phone_number(runtime, viewer, calls_per_second=1)
    row = await workers.new_campaign(2, phone_number_id=sales.id, max_concurrent_calls=2)
    await workers.tick()
    one, two = await due.lease(runtime, Call, limit=2, seconds=12)

    async with runtime.transaction(viewer) as tx:
        await tx.lock(Campaign, row.id)
        first = asyncio.create_task(workers.begin_one(one))
        await asyncio.wait({first}, timeout=0.3)
        await clock.advance(3)

    assert await first is not None
    assert await workers.begin_one(two) is None
    assert workers.waits[two.id].at == clock.now() + timedelta(seconds=1)
