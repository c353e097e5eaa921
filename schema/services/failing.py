"""Endpoints that fail: since when, and disabled when nothing has succeeded for five days (decision 0013).

Order of locks, here and in whatever changes an endpoint: endpoints by id, then deliveries by id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update
from sqlmodel import col

from schema.rules.audit import Action
from schema.rules.endpoints import disabled_reason, is_given_up
from schema.rules.ids import first_id
from schema.rules.webhooks import DeliveryState, ErrorClass
from schema.runtime import Transaction
from schema.services import audit, watching
from schema.tables import Delivery, DeliveryAttempt, WebhookEndpoint

_AT_ONCE = timedelta(minutes=2)  # a request takes less, and the writing of its result with it
_LAST = 100  # successes looked at: whichever was written last ended among the last


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
        """Whether the endpoint's row must be looked at, as far as the sender knew: not for the next failure."""
        if self.is_delivered:
            return self.failing_since is not None
        return self.is_automatic and (self.failing_since is None or is_given_up(self.failing_since, self.at))

    def ends(self, failing_since: datetime | None) -> bool:
        """Whether it is a success after the failure of that instant: one its sender knew of, or that ended before."""
        if failing_since is None or not self.is_delivered:
            return False
        return self.failing_since == failing_since or self.at >= failing_since


async def follow(tx: Transaction, outcomes: Sequence[Outcome]) -> Collection[str]:
    """Keep since when endpoints fail; returns the ids of those that are disabled by it.

    The caller cancels their pending deliveries, which it locks after this. Any success ends a failure that came before
    it, whichever is written first; only automatic attempts begin one, because somebody who tries an endpoint by hand
    knows that it fails.
    """
    ids = {outcome.endpoint_id for outcome in outcomes if outcome.changes_row}
    ids |= await _failing(tx, {outcome.endpoint_id for outcome in outcomes if outcome.is_delivered} - ids)
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
            row.failing_since = None if outcome.ends(row.failing_since) else row.failing_since
        elif outcome.is_automatic and row.failing_since is None:
            is_over = await _succeeded_after(tx, row.id, outcome.at, tx.now + _AT_ONCE)
            row.failing_since = None if is_over else outcome.at
        elif outcome.is_automatic and row.failing_since is not None and is_given_up(row.failing_since, outcome.at):
            if await _succeeded_after(tx, row.id, row.failing_since, row.failing_since + _AT_ONCE):
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
    watching.deliveries_changed(tx, *endpoint_ids)
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


async def _failing(tx: Transaction, endpoint_ids: Collection[str]) -> set[str]:
    """Those that fail by now, though the senders of their successes may not have known: one read, and no lock."""
    if not endpoint_ids:
        return set()
    return set((await tx.execute(_FAILING, {"ids": sorted(endpoint_ids)})).scalars())


_FAILING = select(col(WebhookEndpoint.id)).where(
    col(WebhookEndpoint.id).in_(bindparam("ids", expanding=True)), col(WebhookEndpoint.failing_since).is_not(None)
)


async def _succeeded_after(tx: Transaction, endpoint_id: str, failed_at: datetime, until: datetime) -> bool:
    """Whether a success that ended after that failure was written before `until`: it found no failure to end.

    Asked when a failure begins, for successes that were written before it. Two that are written at the very same time
    do not see each other, so it is asked once more before an endpoint is disabled.
    """
    attempt = DeliveryAttempt
    written = (
        select(col(attempt.started_at), col(attempt.duration_ms))
        .join(Delivery, col(Delivery.id) == attempt.delivery_id)
        .where(
            col(attempt.id) >= first_id(failed_at),  # the primary key is the index of time
            col(attempt.id) <= first_id(until),
            col(Delivery.endpoint_id) == endpoint_id,
            col(attempt.status_code).between(200, 299),
            col(attempt.error_class).is_(None),
        )
        .order_by(col(attempt.id).desc())
        .limit(_LAST)
    )
    ended = [started + timedelta(milliseconds=took) for started, took in await tx.execute(written)]
    return any(at > failed_at for at in ended)
