"""Retention: what is older than the setting is deleted, and nothing that anybody may still need."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.rules.idempotency import fingerprint, reservation_id
from schema.rules.webhooks import DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import deliveries, idempotency, retention, sending, webhooks
from schema.tables import Delivery, DeliveryAttempt, Event, IdempotencyKey, Session, Table
from tests.schema.conftest import Act, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

DAY_S = 86_400
KEPT_S = 30 * DAY_S + 3_600


async def send(runtime: Runtime, **result: Any) -> None:
    """Whatever is due is sent, with that result."""
    out = await sending.load(runtime, await due.lease(runtime, Delivery, limit=100, seconds=30))
    await runtime.perform(None, sending.settle, [seeds.answer(each, runtime.clock.now(), **result) for each in out])


async def sweep(runtime: Runtime) -> list[int]:
    """One batch of each kind; returns how many went."""
    return [await runtime.perform(None, verb) for verb in retention.SWEEPS]


async def count(runtime: Runtime, table: type[Table]) -> int:
    return len(await runtime.database.read(select(col(table.id))))


@on_both
async def test_what_is_finished_and_old_goes_with_its_attempts_and_events(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, unchanged: Unchanged
) -> None:
    await seeds.endpoint(runtime, viewer)
    await seeds.endpoint(runtime, viewer)
    await seeds.done(runtime, viewer, await seeds.call(runtime, viewer))
    await send(runtime)
    assert [await count(runtime, table) for table in (Delivery, DeliveryAttempt, Event)] == [8, 8, 4]
    await clock.advance(KEPT_S)
    async with unchanged():
        assert await sweep(runtime) == [0, 0, 0, 0]

    await clock.advance(1)

    assert await sweep(runtime) == [8, 4, 0, 0]
    assert [await count(runtime, table) for table in (Delivery, DeliveryAttempt, Event)] == [0, 0, 0]


@on_both
async def test_what_waits_and_what_was_sent_again_lately_stays(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act
) -> None:
    row = await seeds.endpoint(runtime, viewer)
    again, waits, old = [await act(webhooks.test, row.id) for _ in range(3)]
    await send(runtime)
    async with runtime.transaction(viewer) as tx:
        kept = await tx.lock(Delivery, waits.id)
        kept.state, kept.due_at, kept.finished_at = DeliveryState.PENDING, clock.now() + timedelta(days=60), None
    await clock.advance(KEPT_S)
    await act(deliveries.resend, again.id)
    await send(runtime)
    await clock.advance(1)

    assert await sweep(runtime) == [1, 1, 0, 0]

    assert {each.id for each in await runtime.database.read(select(Delivery))} == {again.id, waits.id}
    assert {each.id for each in await runtime.database.read(select(Event))} == {again.event_id, waits.event_id}
    assert old.id not in {each.delivery_id for each in await runtime.database.read(select(DeliveryAttempt))}


@on_both
async def test_events_of_a_call_that_is_not_done_stay(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    """W2: it would tell them again."""
    await seeds.submitted(runtime, viewer, await seeds.call(runtime, viewer))
    await clock.advance(KEPT_S + 1)

    assert await sweep(runtime) == [0, 0, 0, 0]

    assert await count(runtime, Event) == 1


async def test_how_long_is_a_setting(runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act) -> None:
    runtime.settings = runtime.settings.model_copy(update={"webhook_log_days": 1})
    row = await seeds.endpoint(runtime, viewer)
    await act(webhooks.test, row.id)
    await send(runtime)
    await clock.advance(DAY_S + 3_601)

    assert await sweep(runtime) == [1, 1, 0, 0]


@on_both
async def test_expired_keys_and_sessions_go(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    await seeds.signed_in(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        await idempotency.reserve(tx, reservation_id(viewer.workspace_id, ["/calls"], "k"), fingerprint({}))
    assert [await count(runtime, table) for table in (IdempotencyKey, Session)] == [1, 1]
    await clock.advance(DAY_S - 1)
    assert (await sweep(runtime))[2] == 0
    await clock.advance(400 * DAY_S)

    assert await sweep(runtime) == [0, 0, 1, 1]


@on_both
async def test_several_at_once_delete_everything_once(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    row = await seeds.endpoint(runtime, viewer)
    for _ in range(12):
        await act(webhooks.test, row.id)
    await send(runtime)
    await clock.advance(KEPT_S + 1)

    async with asyncio.timeout(20):
        for verb, rows in ((retention.sweep_deliveries, 12), (retention.sweep_events, 12)):
            counts: list[int] = []
            while sum(counts) < rows:
                counts += await asyncio.gather(*(runtime.perform(None, verb) for _ in range(4)))
            assert sum(counts) == rows

    assert [await count(runtime, table) for table in (Delivery, DeliveryAttempt, Event)] == [0, 0, 0]
