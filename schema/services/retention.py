"""Retention: what the log of deliveries and what has expired is kept for no longer, deleted a batch at a time.

Harmless from several workers at once: rows that another is deleting are passed over. Ids begin with the instant they
were made at, so the primary keys are the indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, delete, exists, or_, select
from sqlalchemy.orm import Mapped
from sqlmodel import col

from schema.rules.calls import CallPhase
from schema.rules.ids import first_id
from schema.rules.webhooks import DeliveryState
from schema.runtime import Transaction
from schema.tables import Call, Delivery, DeliveryAttempt, Event, IdempotencyKey, Session, Table

Sweep: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, int]]

BATCH = 500
_MARGIN = timedelta(hours=1)
"""Beyond the setting: what `recovery` may still refer to is not deleted under its hands."""


async def sweep_deliveries(tx: Transaction) -> int:
    """Finished deliveries that are older than the setting, and their attempts; returns how many, a batch at most.

    One that was sent again lately stays until that, too, is long ago.
    """
    old = select(col(Delivery.id)).where(
        col(Delivery.id) < first_id(_horizon(tx)),
        col(Delivery.state) != DeliveryState.PENDING,
        col(Delivery.finished_at) < _horizon(tx),
    )
    ids = await _held(tx, old.order_by(col(Delivery.id)))
    if ids:
        await _delete(tx, DeliveryAttempt, col(DeliveryAttempt.delivery_id).in_(ids))
        await _delete(tx, Delivery, col(Delivery.id).in_(ids))
    return len(ids)


async def sweep_events(tx: Transaction) -> int:
    """Events as old of which no delivery is left; not of a call that is not done: it would tell them again (W2)."""
    call_is_over = exists().where(col(Call.id) == Event.call_id, col(Call.phase) == CallPhase.DONE)
    old = select(col(Event.id)).where(
        col(Event.id) < first_id(_horizon(tx)),
        ~exists().where(col(Delivery.event_id) == Event.id),
        or_(col(Event.call_id).is_(None), call_is_over),
    )
    ids = await _held(tx, old.order_by(col(Event.id)))
    if ids:
        await _delete(tx, Event, col(Event.id).in_(ids))
    return len(ids)


async def sweep_idempotency_keys(tx: Transaction) -> int:
    """Keys whose 24 hours are over; each use of a key sweeps, too, but there may be no more."""
    return await _sweep_expired(tx, IdempotencyKey, col(IdempotencyKey.expires_at))


async def sweep_sessions(tx: Transaction) -> int:
    """Sessions that have expired."""
    return await _sweep_expired(tx, Session, col(Session.expires_at))


SWEEPS: tuple[Sweep, ...] = (sweep_deliveries, sweep_events, sweep_idempotency_keys, sweep_sessions)
"""Each is repeated until it finds less than a batch; events come after the deliveries that keep them."""


def _horizon(tx: Transaction) -> datetime:
    return tx.now - timedelta(days=tx.settings.webhook_log_days) - _MARGIN


async def _sweep_expired(tx: Transaction, table: type[Table], expires_at: Mapped[datetime]) -> int:
    ids = await _held(tx, select(col(table.id)).where(expires_at <= tx.now).order_by(expires_at))
    if ids:
        await _delete(tx, table, col(table.id).in_(ids))
    return len(ids)


async def _held(tx: Transaction, old: Select[str]) -> list[str]:
    """A batch of their ids, which nobody else has in hand."""
    old = old.limit(BATCH)
    if not tx.runtime.database.is_sqlite:
        old = old.with_for_update(skip_locked=True)
    return list((await tx.execute(old)).scalars())


async def _delete(tx: Transaction, table: type[Table], where: ColumnElement[bool]) -> None:
    await tx.execute(delete(table).where(where).execution_options(synchronize_session=False))
