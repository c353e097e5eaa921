"""Endpoints that fail: since when, and disabled when nothing has succeeded for five days (decision 0013).

Order of locks, here and in whatever changes an endpoint: endpoints by id, then deliveries by id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlmodel import col

from schema.rules.audit import Action
from schema.rules.endpoints import disabled_reason, is_given_up
from schema.rules.webhooks import DeliveryState, ErrorClass
from schema.runtime import Transaction
from schema.services import audit
from schema.tables import Delivery, WebhookEndpoint

_AT_ONCE = timedelta(minutes=2)  # a request takes less, and the writing of its result with it
_LADDER = timedelta(days=1)  # an automatic attempt is made no longer after its delivery, with the usual schedule


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request to an endpoint ended. `failing_since`: what the endpoint's row said when it was sent."""

    endpoint_id: str
    failing_since: datetime | None
    at: datetime
    is_delivered: bool
    is_automatic: bool
    status: int | None
    error_class: ErrorClass | None

    @property
    def changes_row(self) -> bool:
        """Whether the endpoint's row must be looked at: not for a success like those before, nor the next failure."""
        if self.is_delivered:
            return self.failing_since is not None
        return self.is_automatic and (self.failing_since is None or is_given_up(self.failing_since, self.at))


async def follow(tx: Transaction, outcomes: Sequence[Outcome]) -> Collection[str]:
    """Keep since when endpoints fail; returns the ids of those that are disabled by it.

    The caller cancels their pending deliveries, which it locks after this. Any success ends a failure; only automatic
    attempts begin one, because somebody who tries an endpoint by hand knows that it fails.
    """
    ids = {outcome.endpoint_id for outcome in outcomes if outcome.changes_row}
    if not ids:
        return ()
    locked = select(WebhookEndpoint).where(col(WebhookEndpoint.id).in_(ids), col(WebhookEndpoint.deleted_at).is_(None))
    locked = locked.order_by(col(WebhookEndpoint.id)).with_for_update(key_share=True)
    rows = {row.id: row for row in await tx.all(locked) if row.is_active}
    disabled = []
    for outcome in sorted(outcomes, key=lambda one: one.at):
        row = rows.get(outcome.endpoint_id)
        if row is None or not row.is_active:
            continue
        if outcome.is_delivered:
            row.failing_since = None
        elif outcome.is_automatic and row.failing_since is None:
            row.failing_since = outcome.at
        elif outcome.is_automatic and row.failing_since is not None and is_given_up(row.failing_since, outcome.at):
            if await _had_success(tx, row.id, row.failing_since):
                row.failing_since = outcome.at
            else:
                _disable(tx, row, row.failing_since, outcome)
                disabled.append(row.id)
    await tx.flush()
    return disabled


async def lock_pending(tx: Transaction, endpoint_ids: Collection[str], others: Sequence[str] = ()) -> None:
    """Hold the endpoints' pending deliveries, and `others`, until the transaction ends; in the order of all who do."""
    if tx.runtime.database.is_sqlite:
        return  # where one writes, nobody else does
    chosen = select(col(Delivery.id)).where(or_(_pending(endpoint_ids), col(Delivery.id).in_(others)))
    await tx.execute(chosen.order_by(col(Delivery.id)).with_for_update())


async def cancel_pending(tx: Transaction, endpoint_ids: Collection[str]) -> None:
    """Nothing more is sent to them (W8); `lock_pending` comes first."""
    await tx.execute(
        update(Delivery)
        .where(_pending(endpoint_ids))
        .values(state=DeliveryState.CANCELLED, due_at=None, finished_at=tx.now, version=Delivery.version + 1)
        .execution_options(synchronize_session=False)
    )


def _pending(endpoint_ids: Collection[str]) -> ColumnElement[bool]:
    return and_(col(Delivery.endpoint_id).in_(endpoint_ids), col(Delivery.state) == DeliveryState.PENDING)


def _disable(tx: Transaction, row: WebhookEndpoint, since: datetime, last: Outcome) -> None:
    row.is_active = False
    row.disabled_at = row.updated_at = tx.now
    row.disabled_reason = disabled_reason(since, last.status, last.error_class)
    audit.note(
        tx,
        Action.WEBHOOK_ENDPOINT_DISABLED,
        row.id,
        row.url,
        {"isActive": (True, False), "disabledReason": (None, row.disabled_reason)},
        workspace_id=row.workspace_id,
    )


async def _had_success(tx: Transaction, endpoint_id: str, since: datetime) -> bool:
    """Whether a request that was under way when the first failed succeeded: its sender knew of no failure to end."""
    created, finished = col(Delivery.created_at), col(Delivery.finished_at)
    delivered = select(col(Delivery.id)).where(
        col(Delivery.endpoint_id) == endpoint_id,
        created.between(since - _LADDER, since + _AT_ONCE),
        col(Delivery.state) == DeliveryState.DELIVERED,
        finished.between(since, since + _AT_ONCE),
    )
    return (await tx.execute(delivered.limit(1))).first() is not None
