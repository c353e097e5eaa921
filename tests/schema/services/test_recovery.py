"""Recovering an endpoint: what it has missed is sent, oldest first, and nothing twice (decision 0013)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.errors import Invalid, NotFound
from schema.rules.webhooks import AttemptTrigger, DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import recovery, sending, webhooks
from schema.tables import Delivery, Event
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

UNKNOWN = "c0000000000000000unknown0"
PENDING, DELIVERED, FAILED, CANCELLED = DeliveryState
STARTED = ["call.started"]


async def happen(runtime: Runtime, viewer: Viewer, clock: VirtualClock, times: int) -> list[str]:
    """So many calls are submitted, a minute apart; returns the ids of the events."""
    for _ in range(times):
        await seeds.submitted(runtime, viewer, await seeds.call(runtime, viewer))
        await clock.advance(60)
    return [row.id for row in await runtime.database.read(select(Event).order_by(col(Event.id)))][-times:]


async def send(runtime: Runtime, **result: Any) -> list[str]:
    """Whatever is due is sent, with that result; returns the ids of the events in the order in which they go."""
    sent = []
    while leases := await due.lease(runtime, Delivery, limit=1, seconds=30):
        out = await sending.load(runtime, leases)
        sent += [each.event_id for each in out]
        await runtime.perform(None, sending.settle, [seeds.answer(each, runtime.clock.now(), **result) for each in out])
    return sent


async def recover(runtime: Runtime, viewer: Viewer, id: str, since: datetime, until: datetime | None = None) -> int:
    return (await recovery.recover(lambda: runtime.transaction(viewer), id, since, until)).recovered


async def of(runtime: Runtime, endpoint_id: str) -> list[Any]:
    mine = select(Delivery).where(col(Delivery.endpoint_id) == endpoint_id)
    return await runtime.database.read(mine.order_by(col(Delivery.event_id)))


@on_both
async def test_what_was_missed_is_sent_oldest_first_and_the_rest_is_left_alone(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_AT_ONCE", 3)
    since = clock.now()
    row = await seeds.endpoint(runtime, viewer, events=STARTED)
    delivered = await happen(runtime, viewer, clock, 1)
    await send(runtime)
    await act(webhooks.update, row.id, {"is_active": False})
    unheard = await happen(runtime, viewer, clock, 3)
    await act(webhooks.update, row.id, {"is_active": True})
    cancelled = await happen(runtime, viewer, clock, 2)
    await act(webhooks.update, row.id, {"is_active": False})
    await act(webhooks.update, row.id, {"is_active": True})
    failed = await happen(runtime, viewer, clock, 2)
    for _ in range(5):
        await send(runtime, status_code=500)
        await clock.advance(7_200)
    assert [each.state for each in await of(runtime, row.id)] == [DELIVERED, CANCELLED, CANCELLED, FAILED, FAILED]
    await act(webhooks.test, row.id)
    await send(runtime, status_code=500)
    waits = await happen(runtime, viewer, clock, 1)
    before = {each.event_id: each for each in await of(runtime, row.id)}

    assert await recover(runtime, viewer, row.id, since) == 7
    assert await recover(runtime, viewer, row.id, since) == 0

    after = {each.event_id: each for each in await of(runtime, row.id)}
    for event_id in (*delivered, *waits):
        assert [getattr(after[event_id], name) for name in Delivery.model_fields] == [
            getattr(before[event_id], name) for name in Delivery.model_fields
        ]
    assert len(after) == len(before) + 3
    for event_id in (*unheard, *cancelled, *failed):
        fresh = after[event_id]
        assert (fresh.state, fresh.trigger, fresh.retries, fresh.automatic_attempts, fresh.finished_at) == (
            PENDING,
            AttemptTrigger.AUTOMATIC,
            True,
            0,
            None,
        )
        assert clock.now() - timedelta(seconds=2) < fresh.due_at <= clock.now()
    sent = await send(runtime)
    assert [id for id in sent if id not in waits] == [*unheard, *cancelled, *failed]
    assert sent.count(waits[0]) == 1
    assert [each.attempts_made for each in await of(runtime, row.id)][-4:-2] == [6, 6]


@on_both
async def test_a_recovered_delivery_has_the_whole_ladder(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act
) -> None:
    since = clock.now()
    (event,) = await happen(runtime, viewer, clock, 1)
    row = await seeds.endpoint(runtime, viewer, events=STARTED)
    await recover(runtime, viewer, row.id, since)

    requests = 0
    while (await of(runtime, row.id))[0].state is PENDING:
        requests += len(await send(runtime, status_code=500))
        await clock.advance(7_200)

    assert requests == 5
    assert [(each.event_id, each.state) for each in await of(runtime, row.id)] == [(event, FAILED)]


@on_both
async def test_only_what_it_wants_now_and_between_the_two_instants(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    start = clock.now()
    events = await happen(runtime, viewer, clock, 4)
    row = await seeds.endpoint(runtime, viewer, events=STARTED)
    deaf = await seeds.endpoint(runtime, viewer, events=["call.ended"])
    minute = timedelta(seconds=60)

    assert await recover(runtime, viewer, deaf.id, start) == 0
    assert await recover(runtime, viewer, row.id, start + minute, start + 2 * minute) == 2

    assert [each.event_id for each in await of(runtime, row.id)] == events[1:3]
    assert await of(runtime, deaf.id) == []


async def test_another_workspace_s_events_are_not_sent(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    start = clock.now()
    await happen(runtime, await seeds.workspace(runtime), clock, 2)
    row = await seeds.endpoint(runtime, viewer)

    assert await recover(runtime, viewer, row.id, start) == 0


@on_both
async def test_what_cannot_be_recovered(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, refused: Refused
) -> None:
    row = await seeds.endpoint(runtime, viewer)
    now, day = clock.now(), timedelta(days=1)

    async with refused(Invalid, "since must not be in the future"):
        await recover(runtime, viewer, row.id, now + timedelta(microseconds=1))
    async with refused(Invalid, "since must not be more than 30 days ago: events are kept no longer"):
        await recover(runtime, viewer, row.id, now - 30 * day - timedelta(microseconds=1))
    async with refused(Invalid, "since must not be after until"):
        await recover(runtime, viewer, row.id, now, now - day)
    async with refused(NotFound, f"Webhook endpoint with id {UNKNOWN} not found"):
        await recover(runtime, viewer, UNKNOWN, now)
    assert await recover(runtime, viewer, row.id, now - 30 * day, now + day) == 0
    await act(webhooks.update, row.id, {"is_active": False})
    async with refused(Invalid, f"Webhook endpoint with id {row.id} is not active"):
        await recover(runtime, viewer, row.id, now)


@on_both
async def test_two_at_once_send_nothing_twice(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_AT_ONCE", 2)
    since = clock.now()
    row = await seeds.endpoint(runtime, viewer, events=STARTED)
    await happen(runtime, viewer, clock, 3)
    await act(webhooks.update, row.id, {"is_active": False})
    await happen(runtime, viewer, clock, 3)
    await act(webhooks.update, row.id, {"is_active": True})

    async with asyncio.timeout(20):
        counts = await asyncio.gather(*(recover(runtime, viewer, row.id, since) for _ in range(4)))

    assert sum(counts) == 6
    assert len(await send(runtime)) == 6


async def test_test_events_are_nobody_s(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, unchanged: Unchanged
) -> None:
    since = clock.now()
    tried = await seeds.endpoint(runtime, viewer)
    await act(webhooks.test, tried.id)
    await send(runtime, status_code=500)
    row = await seeds.endpoint(runtime, viewer)

    async with unchanged():
        assert await recover(runtime, viewer, row.id, since) == 0
        assert await recover(runtime, viewer, tried.id, since) == 0


@on_both
async def test_what_was_received_while_its_endpoint_was_switched_off_is_not_sent_again(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act
) -> None:
    row = await seeds.endpoint(runtime, viewer, events=STARTED)
    since = clock.now()
    await happen(runtime, viewer, clock, 1)
    (under_way,) = await sending.load(runtime, await due.lease(runtime, Delivery, limit=1, seconds=30))
    await act(webhooks.update, row.id, {"is_active": False})
    await act(sending.settle, [seeds.answer(under_way, clock.now())])
    await act(webhooks.update, row.id, {"is_active": True})

    assert await recover(runtime, viewer, row.id, since) == 0

    assert [each.state for each in await of(runtime, row.id)] == [DELIVERED]
    assert await send(runtime) == []
