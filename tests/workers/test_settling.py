"""What came of deliveries is written: together, whatever one of them holds, and as soon as the database can."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import DataError, OperationalError
from sqlmodel import col

from schema import due
from schema.rules.webhooks import DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import deliveries, sending, webhooks
from schema.services.sending import Result
from schema.tables import Delivery
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock
from workers import settling
from workers.settling import Settler


async def sent(runtime: Runtime, viewer: Viewer, count: int) -> list[Result]:
    """What came of that many requests."""
    hook = await seeds.endpoint(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        for _ in range(count):
            await webhooks.test(tx, hook.id)
    leases = await due.lease(runtime, Delivery, limit=count, seconds=30)
    return [seeds.answer(out, runtime.clock.now()) for out in await sending.load(runtime, leases)]


async def log_lines(runtime: Runtime, viewer: Viewer) -> list[tuple[int | None, str | None]]:
    tx = runtime.snapshot(viewer)
    rows = await tx.all(tx.select(Delivery).order_by(col(Delivery.id)))
    assert {row.state for row in rows} == {DeliveryState.DELIVERED}
    lines = await deliveries.attempts(tx, [row.id for row in rows])
    return [(line.status_code, line.response_body) for line in lines]


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, poison: str | None = None) -> list[int]:
    """`settle` fails for results that hold the poison, at first (None) or always; how many each try had to write."""
    tries: list[int] = []
    settle = sending.settle

    async def fail(tx: Any, results: Any) -> int:
        tries.append(len(results))
        if any(result.response_body == poison for result in results) if poison else len(tries) == 1:
            raise error
        return await settle(tx, results)

    monkeypatch.setattr(sending, "settle", fail)
    return tries


async def test_results_that_come_while_others_are_written_go_together(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = await sent(runtime, viewer, 9)
    tries = failing(monkeypatch, RuntimeError(), poison="never")
    settler = Settler(runtime)

    await asyncio.gather(*(settler.put(result) for result in results))

    assert (sum(tries), len(tries) <= 2) == (9, True)
    assert await log_lines(runtime, viewer) == [(200, "ok")] * 9


@on_both
async def test_one_that_cannot_be_written_is_written_without_what_its_receiver_said(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would be sent again for ever, and the others of its batch with it."""
    results = await sent(runtime, viewer, 3)
    results[1] = replace(results[1], response_body="poison")
    failing(monkeypatch, DataError("", {}, Exception("value out of range")), poison="poison")
    settler = Settler(runtime)

    await asyncio.gather(*(settler.put(result) for result in results))

    assert sorted(await log_lines(runtime, viewer), key=str) == [(200, "ok"), (200, "ok"), (200, None)]


@pytest.mark.parametrize("database", ["postgresql"])
async def test_a_sentence_that_postgresql_does_not_take_is_left_out(runtime: Runtime, viewer: Viewer) -> None:
    results = await sent(runtime, viewer, 2)
    results[0] = replace(results[0], error="x" * 501)
    settler = Settler(runtime)

    await asyncio.gather(*(settler.put(result) for result in results))

    assert sorted(await log_lines(runtime, viewer), key=str) == [(200, "ok"), (200, None)]


async def test_a_database_that_is_away_is_waited_for(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_RETRY_S", 0.0)
    results = await sent(runtime, viewer, 2)
    tries = failing(monkeypatch, OperationalError("", {}, Exception("disk I/O error")))
    settler = Settler(runtime)

    await asyncio.gather(*(settler.put(result) for result in results))

    assert len(tries) > 1
    assert await log_lines(runtime, viewer) == [(200, "ok")] * 2


async def test_what_was_received_is_written_also_long_after_its_lease(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver has it; of a failure nothing is lost but a line of the log."""
    results = await sent(runtime, viewer, 2)
    results[1] = replace(results[1], status_code=500)
    monkeypatch.setattr(settling, "_RETRY_S", 0.0)
    tries = failing(monkeypatch, OperationalError("", {}, Exception("disk I/O error")))
    settler = Settler(runtime)
    await clock.advance(settling._RECEIVED_S)  # the leases were for less

    await asyncio.gather(*(settler.put(result) for result in results))

    assert tries[-1] == 1
    tx = runtime.snapshot(viewer)
    rows = await tx.all(tx.select(Delivery).order_by(col(Delivery.id)))
    assert [row.state for row in rows] == [DeliveryState.DELIVERED, DeliveryState.PENDING]


async def test_closing_writes_what_nobody_waits_for_any_more(runtime: Runtime, viewer: Viewer) -> None:
    results = await sent(runtime, viewer, 3)
    settler = Settler(runtime)
    for result in results:
        settler.put(result)

    await settler.close(10)

    assert await log_lines(runtime, viewer) == [(200, "ok")] * 3
