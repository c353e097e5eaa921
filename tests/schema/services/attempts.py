"""What is due is sent and settled, by hand and one at a time: for tests of deliveries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.rules.webhooks import AttemptTrigger, DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import sending
from schema.services.sending import Outgoing
from schema.tables import Delivery, DeliveryAttempt
from tests.support import seeds
from tests.support.time import VirtualClock

LADDER = (30, 300, 1800, 7200)
PENDING, DELIVERED, FAILED, CANCELLED = DeliveryState
AUTOMATIC, MANUAL, TEST = AttemptTrigger


async def kept(runtime: Runtime, row: Delivery) -> Any:
    return (await runtime.database.read(select(Delivery).where(col(Delivery.id) == row.id)))[0]


async def log(runtime: Runtime) -> list[Any]:
    statement = select(DeliveryAttempt).order_by(col(DeliveryAttempt.delivery_id), col(DeliveryAttempt.number))
    return await runtime.database.read(statement)


async def outgoing(runtime: Runtime) -> Outgoing:
    """The one delivery that is due."""
    (held,) = await due.lease(runtime, Delivery, limit=10, seconds=30)
    (out,) = await sending.load(runtime, [held])
    return out


async def attempt(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, *, takes_s: float = 0, **result: Any
) -> Outgoing:
    """One request to whatever is due, and what came of it."""
    out = await outgoing(runtime)
    await clock.advance(takes_s)
    async with runtime.transaction(viewer) as tx:
        assert await sending.settle(tx, [seeds.answer(out, tx.now, **result)]) == 1
    return out


async def nothing_due(runtime: Runtime) -> bool:
    return await due.lease(runtime, Delivery, limit=10, seconds=30) == []
