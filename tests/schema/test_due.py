"""The row is the job: each due row to one holder, the oldest first, and a lost lease writes nothing (`jobs.md`)."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.due import Backlog, Fenced, Lease
from schema.rules.webhooks import DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import webhooks
from schema.settings import Settings
from schema.tables import Delivery
from tests.support import seeds
from tests.support.runtime import on_both, settings_for
from tests.support.time import VirtualClock

QUEUE = "deliveries"


async def jobs(runtime: Runtime, viewer: Viewer, *delays_s: float) -> list[str]:
    """Deliveries that are due that many seconds from now, in that order."""
    endpoint = await seeds.endpoint(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        rows = [await webhooks.test(tx, endpoint.id) for _ in delays_s]
        for row, delay_s in zip(rows, delays_s, strict=True):
            row.due_at = tx.now + timedelta(seconds=delay_s)
    return [row.id for row in rows]


async def row(runtime: Runtime, id: str) -> Any:
    return (await runtime.database.read(select(Delivery).where(col(Delivery.id) == id)))[0]


async def state(runtime: Runtime, id: str) -> tuple[Any, ...]:
    found = await row(runtime, id)
    return found.state, found.due_at, found.version


@on_both
async def test_the_oldest_due_rows_are_taken_first(runtime: Runtime, viewer: Viewer) -> None:
    newest, later, oldest, middle = await jobs(runtime, viewer, -1, 30, -60, -10)

    first = await due.lease(runtime, Delivery, limit=2, seconds=30)
    second = await due.lease(runtime, Delivery, limit=2, seconds=30)

    assert {held.id for held in first} == {oldest, middle}
    assert [held.id for held in second] == [newest]
    assert (await row(runtime, later)).version == 0


@on_both
async def test_a_lease_moves_due_at_and_bumps_the_fence(runtime: Runtime, viewer: Viewer) -> None:
    (id,) = await jobs(runtime, viewer, 0)
    now = runtime.clock.now()

    (held,) = await due.lease(runtime, Delivery, limit=10, seconds=30)

    assert held == Lease(id, 1, now + timedelta(seconds=30))
    assert await state(runtime, id) == (DeliveryState.PENDING, now + timedelta(seconds=30), 1)
    assert held.left_s(now + timedelta(seconds=20)) == 10
    assert await due.lease(runtime, Delivery, limit=10, seconds=30) == []


@on_both
async def test_rows_that_are_not_wanted_are_left(runtime: Runtime, viewer: Viewer) -> None:
    unwanted, wanted = await jobs(runtime, viewer, -10, 0)

    leases = await due.lease(runtime, Delivery, limit=1, seconds=30, where=[col(Delivery.id) != unwanted])

    assert [held.id for held in leases] == [wanted]


@on_both
async def test_nothing_due_takes_nothing(runtime: Runtime, viewer: Viewer) -> None:
    await jobs(runtime, viewer, 0.000_001)

    assert await due.lease(runtime, Delivery, limit=10, seconds=30) == []


@on_both
async def test_an_expired_lease_is_taken_over_and_its_holder_refused(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    (id,) = await jobs(runtime, viewer, 0)
    (stale,) = await due.lease(runtime, Delivery, limit=1, seconds=30)
    await clock.advance(29.999)
    assert await due.lease(runtime, Delivery, limit=1, seconds=30) == []
    await clock.advance(0.001)

    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30)

    assert (held.id, held.version) == (id, 2)
    before = await state(runtime, id)
    with pytest.raises(Fenced, match=f"Delivery {id} is no longer held at version 1"):
        async with runtime.transaction(viewer) as tx:
            await due.settle(tx, Delivery, stale, due_at=None, state=DeliveryState.FAILED)
    with pytest.raises(Fenced):
        async with runtime.transaction(viewer) as tx:
            await due.renew(tx, Delivery, stale, seconds=30)
    assert await state(runtime, id) == before


@on_both
async def test_settling_writes_the_result_and_ends_the_lease(runtime: Runtime, viewer: Viewer) -> None:
    (id,) = await jobs(runtime, viewer, 0)
    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30)

    async with runtime.transaction(viewer) as tx:
        after = await due.settle(tx, Delivery, held, due_at=None, state=DeliveryState.DELIVERED)

    assert after == Lease(id, 2, held.until)
    assert await state(runtime, id) == (DeliveryState.DELIVERED, None, 2)
    with pytest.raises(Fenced):
        async with runtime.transaction(viewer) as tx:
            await due.settle(tx, Delivery, held, due_at=None, state=DeliveryState.FAILED)
    assert await state(runtime, id) == (DeliveryState.DELIVERED, None, 2)


@on_both
async def test_what_was_written_before_the_fence_is_undone(runtime: Runtime, viewer: Viewer) -> None:
    mine, lost = await jobs(runtime, viewer, 0, 0)
    leases = {held.id: held for held in await due.lease(runtime, Delivery, limit=2, seconds=30)}

    async def settle_both() -> None:
        async with runtime.transaction(viewer) as tx:
            await due.settle(tx, Delivery, leases[mine], due_at=None, state=DeliveryState.DELIVERED)
            await due.settle(tx, Delivery, Lease(lost, 7, leases[lost].until), due_at=None)

    with pytest.raises(Fenced):
        await settle_both()

    assert (await row(runtime, mine)).state is DeliveryState.PENDING


@on_both
async def test_renewing_holds_on(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    (id,) = await jobs(runtime, viewer, 0)
    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30)
    await clock.advance(20)

    async with runtime.transaction(viewer) as tx:
        renewed = await due.renew(tx, Delivery, held, seconds=30)

    assert renewed == Lease(id, 2, clock.now() + timedelta(seconds=30))
    await clock.advance(29)
    assert await due.lease(runtime, Delivery, limit=1, seconds=30) == []


@on_both
async def test_rows_put_back_are_due_again_and_those_lost_are_left_alone(runtime: Runtime, viewer: Viewer) -> None:
    mine, lost = await jobs(runtime, viewer, 0, 0)
    leases = await due.lease(runtime, Delivery, limit=2, seconds=30)
    async with runtime.transaction(viewer) as tx:
        (gone,) = (held for held in leases if held.id == lost)
        await due.settle(tx, Delivery, gone, due_at=None, state=DeliveryState.DELIVERED)

    await due.put_back(runtime, Delivery, leases)

    assert await state(runtime, mine) == (DeliveryState.PENDING, runtime.clock.now(), 2)
    assert await state(runtime, lost) == (DeliveryState.DELIVERED, None, 2)


@on_both
async def test_the_backlog_is_how_much_is_due_and_since_when(runtime: Runtime, viewer: Viewer) -> None:
    assert await due.backlog(runtime, Delivery) == Backlog(0, 0.0)

    await jobs(runtime, viewer, -90.5, -10, 0, 60)

    assert await due.backlog(runtime, Delivery) == Backlog(3, 90.5)


NESTED = "?enable_hashjoin=off&enable_mergejoin=off&enable_hashagg=off&enable_sort=off&enable_material=off"


@pytest.mark.parametrize(("database", "plan"), [("sqlite", ""), ("postgresql", ""), ("postgresql", NESTED)])
async def test_many_at_once_take_each_row_once(runtime: Runtime, viewer: Viewer, settings: Settings, plan: str) -> None:
    """Leasers in threads with loops of their own, as worker processes are, however PostgreSQL plans the query."""
    if settings.database_url is not None:
        settings = settings_for(settings.data, database_url=settings.database_url.get_secret_value() + plan)
    ids = await jobs(runtime, viewer, *(-index for index in range(120)))
    batches: list[list[Lease]] = []

    async def leaser() -> None:
        mine = Runtime.open(settings, clock=runtime.clock)
        while leases := await due.lease(mine, Delivery, limit=7, seconds=30):
            batches.append(leases)
        await mine.close()

    threads = [threading.Thread(target=asyncio.run, args=(leaser(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join, 30) for thread in threads))

    # A row that another leaser had locked is skipped, so the last ones may be left for the next look.
    assert max(map(len, batches)) <= 7
    batches.append(await due.lease(runtime, Delivery, limit=1_000, seconds=30))
    taken = [held for batch in batches for held in batch]
    assert Counter(held.id for held in taken) == Counter(ids)
    assert {held.version for held in taken} == {1}


@on_both
async def test_of_two_holders_one_settles(runtime: Runtime, viewer: Viewer, settings: Settings) -> None:
    (id,) = await jobs(runtime, viewer, 0)
    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30)

    async def settle() -> bool:
        try:
            async with runtime.transaction(viewer) as tx:
                await due.settle(tx, Delivery, held, due_at=None, state=DeliveryState.DELIVERED)
        except Fenced:
            return False
        return True

    settled = await asyncio.gather(*(settle() for _ in range(5)))

    assert Counter(settled) == {True: 1, False: 4}
    assert await state(runtime, id) == (DeliveryState.DELIVERED, None, 2)


def set_back(clock: VirtualClock, seconds: float) -> None:
    """As whoever runs the machine, or its time server, would; what is measured goes on (`monotonic`)."""
    clock._start -= timedelta(seconds=seconds)


@on_both
async def test_what_was_due_when_the_clock_was_set_back_still_is(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    """A webhook would wait for as long as the clock was wrong; one that is to be retried keeps its instant (W5)."""
    held, due_before, just_due, later = await jobs(runtime, viewer, -5, -1, 0.5, 1)
    (lease,) = await due.lease(runtime, Delivery, limit=1, seconds=30)
    as_it_was = await state(runtime, later)
    await clock.advance(0.75)
    set_back(clock, 3600)

    leases = await due.lease(runtime, Delivery, limit=10, seconds=30)
    again = await due.lease(runtime, Delivery, limit=10, seconds=30)

    assert lease.id == held
    assert await state(runtime, held) == (DeliveryState.PENDING, lease.until, 1)
    assert {one.id for one in leases} == {due_before, just_due}
    assert await state(runtime, later) == as_it_was
    assert again == []


@on_both
async def test_what_was_under_way_when_the_clock_was_set_back_is_not_forgotten(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    """A transaction that began before it, a lease whose holder is dead, a try a few seconds later."""
    (held,) = await jobs(runtime, viewer, 0)
    await due.lease(runtime, Delivery, limit=1, seconds=30)
    set_back(clock, 3600)
    assert await due.lease(runtime, Delivery, limit=10, seconds=30) == []
    straddling, soon = await jobs(runtime, viewer, 3599, 3640)

    at_once = await due.lease(runtime, Delivery, limit=10, seconds=30)
    await clock.advance(29)
    early = await due.lease(runtime, Delivery, limit=10, seconds=30)
    await clock.advance(1)
    in_time = await due.lease(runtime, Delivery, limit=10, seconds=30)
    await clock.advance(10)
    later = await due.lease(runtime, Delivery, limit=10, seconds=30)

    assert [[lease.id for lease in leases] for leases in (at_once, early)] == [[straddling], []]
    assert {lease.id for lease in in_time} == {held, straddling}
    assert [lease.id for lease in later] == [soon]


@on_both
async def test_what_is_planned_by_the_clock_as_it_is_now_does_not_come_early(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    """Decision W5."""
    assert await due.lease(runtime, Delivery, limit=10, seconds=30) == []
    set_back(clock, 3600)
    assert await due.lease(runtime, Delivery, limit=10, seconds=30) == []
    (id,) = await jobs(runtime, viewer, 1800)

    await clock.advance(60)
    early = await due.lease(runtime, Delivery, limit=10, seconds=30)
    await clock.advance(1740)
    in_time = await due.lease(runtime, Delivery, limit=10, seconds=30)

    assert early == []
    assert [lease.id for lease in in_time] == [id]


@on_both
async def test_what_others_lease_by_the_clock_as_it_is_now_is_left_to_them(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, settings: Settings
) -> None:
    other = Runtime.open(settings, clock=clock)
    assert await due.lease(runtime, Delivery, limit=10, seconds=30) == []
    (id,) = await jobs(runtime, viewer, -7200)
    set_back(clock, 3600)
    (lease,) = await due.lease(other, Delivery, limit=10, seconds=30)

    leases = await due.lease(runtime, Delivery, limit=10, seconds=30)

    assert leases == []
    assert await state(runtime, id) == (DeliveryState.PENDING, lease.until, 1)
    await other.close()


async def test_a_clock_that_is_corrected_by_less_than_a_lease_changes_nothing(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    assert await due.lease(runtime, Delivery, limit=10, seconds=30) == []
    (id,) = await jobs(runtime, viewer, 0)
    as_it_was = await state(runtime, id)
    set_back(clock, 29)

    early = await due.lease(runtime, Delivery, limit=10, seconds=30)
    await clock.advance(29)
    in_time = await due.lease(runtime, Delivery, limit=10, seconds=30)

    assert (early, as_it_was[2]) == ([], 0)
    assert [held.id for held in in_time] == [id]
