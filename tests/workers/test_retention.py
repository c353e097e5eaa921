"""Retention on the stage: once an hour, whatever the database does meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.runtime import Runtime
from schema.services import retention, sending, webhooks
from schema.tables import Delivery
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock
from workers.retention import EVERY_S, FIRST_S, keep, sweep

DAY_S = 86_400


async def delivered(runtime: Runtime, times: int) -> None:
    """So many finished deliveries."""
    viewer = await seeds.workspace(runtime)
    row = await seeds.endpoint(runtime, viewer)
    for _ in range(times):
        async with runtime.transaction(viewer) as tx:
            await webhooks.test(tx, row.id)
    sent = await sending.load(runtime, await due.lease(runtime, Delivery, limit=100, seconds=30))
    await runtime.perform(None, sending.settle, [seeds.answer(out, runtime.clock.now()) for out in sent])


async def left(runtime: Runtime) -> int:
    return len(await runtime.database.read(select(col(Delivery.id))))


@on_both
async def test_everything_that_is_old_goes_in_batches(
    runtime: Runtime, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    await delivered(runtime, 5)
    await clock.advance(31 * DAY_S)

    sweeping = asyncio.create_task(sweep(runtime))
    while not sweeping.done():
        await clock.advance(1)

    assert await sweeping == {"deliveries": 5, "events": 5, "idempotency_keys": 0, "sessions": 0}
    assert await left(runtime) == 0


async def test_it_is_done_a_minute_after_a_start_and_then_every_hour(runtime: Runtime, clock: VirtualClock) -> None:
    await delivered(runtime, 1)
    await clock.advance(31 * DAY_S)
    keeping = asyncio.create_task(keep(runtime))
    await clock.advance(FIRST_S - 1)
    assert await left(runtime) == 1
    await clock.advance(2)
    assert await left(runtime) == 0
    await delivered(runtime, 1)

    await clock.advance(31 * DAY_S)

    assert await left(runtime) == 0
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping


async def test_a_database_that_is_away_is_asked_again_in_an_hour(
    runtime: Runtime, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def away(*_: Any) -> int:
        asked.append(clock.monotonic())
        raise OSError("away")

    monkeypatch.setattr(runtime, "perform", away)
    keeping = asyncio.create_task(keep(runtime))

    await clock.advance(FIRST_S + 2 * EVERY_S)

    assert asked == [FIRST_S, FIRST_S + EVERY_S, FIRST_S + 2 * EVERY_S]
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
