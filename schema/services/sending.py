"""Sending deliveries: claim (`due.lease`), load, act, settle (decisions W4, W5, W7, W8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, insert, select, update
from sqlmodel import col

from schema import due
from schema.rules.endpoints import still_good
from schema.rules.webhooks import (
    AttemptTrigger,
    DeliveryState,
    ErrorClass,
    headers,
    is_success,
    next_delay,
    user_agent,
)
from schema.runtime import Runtime, Transaction
from schema.services import failing, watching
from schema.tables import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from schema.version import VERSION


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request to send, complete but for its time."""

    held: due.Lease
    workspace_id: str
    endpoint_id: str
    url: str
    event_id: str
    body: bytes
    secret: str
    previous_secrets: list[dict[str, str]]
    automatic_attempts: int
    retries: bool
    trigger: AttemptTrigger
    failing_since: datetime | None

    def headers(self, sent_at: datetime) -> dict[str, str]:
        """The signed headers of a request sent at that instant (W3)."""
        secrets = [self.secret, *still_good(self.previous_secrets, sent_at)]
        return headers(
            self.body, event_id=self.event_id, secrets=secrets, sent_at=sent_at, user_agent=user_agent(VERSION)
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request."""

    outgoing: Outgoing
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    status_code: int | None
    error_class: ErrorClass | None
    error: str | None
    response_body: str | None

    @property
    def is_received(self) -> bool:
        """A 2xx that came whole and in time (W4): the receiver has the event."""
        return is_success(self.status_code) and self.error_class is None


async def load(runtime: Runtime, held: Sequence[due.Lease]) -> list[Outgoing]:
    """What to send for leased deliveries; one whose endpoint has gone or been switched off is left out (W8)."""
    by_id = {lease.id: lease for lease in held}
    return [
        Outgoing(
            held=by_id[row.delivery_id],
            workspace_id=row.workspace_id,
            endpoint_id=row.endpoint_id,
            url=row.url,
            event_id=row.event_id,
            body=row.body,
            secret=row.secret,
            previous_secrets=row.previous_secrets,
            automatic_attempts=row.automatic_attempts,
            retries=row.retries,
            trigger=row.trigger,
            failing_since=row.failing_since,
        )
        for row in await runtime.database.read(_OUTGOING, {"ids": list(by_id)})
        if row.version == by_id[row.delivery_id].version
    ]


_OUTGOING: Select[*tuple[Any, ...]] = (
    select(
        col(Delivery.id).label("delivery_id"),
        col(Delivery.version),
        col(Delivery.workspace_id),
        col(Delivery.automatic_attempts),
        col(Delivery.retries),
        col(Delivery.trigger),
        col(Delivery.event_id),
        col(Event.body),
        col(WebhookEndpoint.id).label("endpoint_id"),
        col(WebhookEndpoint.url),
        col(WebhookEndpoint.secret),
        col(WebhookEndpoint.previous_secrets),
        col(WebhookEndpoint.failing_since),
    )
    .join(Event, col(Event.id) == Delivery.event_id)
    .join(WebhookEndpoint, col(WebhookEndpoint.id) == Delivery.endpoint_id)
    .where(
        col(Delivery.id).in_(bindparam("ids", expanding=True)),
        col(WebhookEndpoint.deleted_at).is_(None),
        col(WebhookEndpoint.is_active).is_(True),
    )
)


async def settle(tx: Transaction, results: Sequence[Result]) -> int:
    """Write what came of each request: its log line, and the next step of the ladder or the end (W5, W7).

    Several in one transaction. Returns how many were still held. The request of a lost lease has been sent all the
    same, so it is in the log (W7), and a 2xx counts, because the receiver has the event: the delivery is delivered and
    whoever holds it now is fenced off. What else becomes of it is for that holder. An endpoint that has failed for long
    is disabled, and what was to be sent to it is cancelled (decision 0013).
    """
    ids = [result.outgoing.held.id for result in results]
    disabled = await failing.follow(tx, [_outcome(result) for result in results])
    if disabled:
        await failing.lock_pending(tx, disabled, ids)
    rows = await _locked(tx, ids)
    made = {id: row.attempts_made for id, row in rows.items()}
    arrived = {id for id, row in rows.items() if row.state is DeliveryState.DELIVERED}
    steps: dict[str, dict[str, Any]] = {}
    log: list[dict[str, Any]] = []
    still_held = 0
    for result in results:
        out, row = result.outgoing, rows[result.outgoing.held.id]
        made[row.id] += 1
        held = row.version == out.held.version
        still_held += held
        next_at = _next_attempt(tx, result) if held and row.id not in arrived else None
        is_cut_off = next_at is not None and out.endpoint_id in disabled
        next_at = None if is_cut_off else next_at
        log.append(_log_line(tx, result, made[row.id], next_at))
        if (held or result.is_received) and row.id not in arrived:
            steps[row.id] = {
                "due_at": next_at,
                "state": DeliveryState.CANCELLED if is_cut_off else await _state(tx, result, next_at),
                "trigger": AttemptTrigger.AUTOMATIC if next_at else out.trigger,
                "automatic_attempts": max(row.automatic_attempts, _automatic(out)),
                "finished_at": None if next_at else result.ended_at,
            }
        if result.is_received:
            arrived.add(row.id)
    await _write_steps(tx, rows, steps, made)
    await tx.execute(_LOG, log)
    watching.deliveries_changed(tx, *(result.outgoing.endpoint_id for result in results))
    if disabled:
        await failing.cancel_pending(tx, disabled)
    return still_held


async def _write_steps(
    tx: Transaction, rows: Mapping[str, Any], steps: Mapping[str, dict[str, Any]], made: Mapping[str, int]
) -> None:
    """The steps of the rows that have one, which are locked as `rows` says; of the others the number of attempts."""
    written = [
        (due.Lease(id, rows[id].version, tx.now), {**step, "attempts_made": made[id]}) for id, step in steps.items()
    ]
    await due.settle_many(tx, Delivery, written)
    for id in sorted(rows.keys() - steps.keys()):
        counted = update(Delivery).where(col(Delivery.id) == id).values(attempts_made=made[id])
        await tx.execute(counted.execution_options(synchronize_session=False))


_LOG = insert(DeliveryAttempt.__table__)  # type: ignore[attr-defined]  # the plain table: half of the time for many rows


async def _locked(tx: Transaction, ids: Sequence[str]) -> dict[str, Any]:
    """What each row is, by id, held until the transaction ends."""
    columns = (Delivery.id, Delivery.version, Delivery.state, Delivery.attempts_made, Delivery.automatic_attempts)
    statement = select(*(col(column) for column in columns)).where(col(Delivery.id).in_(ids))
    return {row.id: row for row in await tx.execute(statement.order_by(col(Delivery.id)).with_for_update())}


def _log_line(tx: Transaction, result: Result, number: int, next_at: datetime | None) -> dict[str, Any]:
    out = result.outgoing
    return {
        "id": tx.new_id(),
        "workspace_id": out.workspace_id,
        "delivery_id": out.held.id,
        "number": number,
        "trigger": out.trigger,
        "started_at": result.started_at,
        "duration_ms": result.duration_ms,
        "status_code": result.status_code,
        "error_class": result.error_class,
        "error": result.error,
        "response_body": result.response_body,
        "next_attempt_at": next_at,
    }


def _outcome(result: Result) -> failing.Outcome:
    out = result.outgoing
    return failing.Outcome(
        endpoint_id=out.endpoint_id,
        failing_since=out.failing_since,
        at=result.ended_at,
        is_delivered=result.is_received,
        is_automatic=out.trigger is AttemptTrigger.AUTOMATIC,
        status=result.status_code,
        error_class=result.error_class,
    )


def _automatic(out: Outgoing) -> int:
    return out.automatic_attempts + (out.trigger is AttemptTrigger.AUTOMATIC)


def _next_attempt(tx: Transaction, result: Result) -> datetime | None:
    """The next step of the ladder, counted from the end of this attempt; None when there is none (W5)."""
    if result.is_received or not result.outgoing.retries:
        return None
    delay = next_delay(_automatic(result.outgoing), tx.settings.webhook_retry_schedule)
    return result.ended_at + timedelta(seconds=delay) if delay is not None else None


async def _state(tx: Transaction, result: Result, next_at: datetime | None) -> DeliveryState:
    if next_at is not None:
        return DeliveryState.PENDING
    if result.is_received:
        return DeliveryState.DELIVERED
    if result.outgoing.trigger is AttemptTrigger.MANUAL:  # what has arrived once stays delivered
        earlier = (
            select(col(DeliveryAttempt.id))
            .where(col(DeliveryAttempt.delivery_id) == result.outgoing.held.id)
            .where(col(DeliveryAttempt.status_code).between(200, 299))
        )
        if (await tx.execute(earlier.limit(1))).first() is not None:
            return DeliveryState.DELIVERED
    return DeliveryState.FAILED


async def drop_gone(tx: Transaction, held: Sequence[due.Lease]) -> None:
    """Finish deliveries whose endpoint has gone or been switched off: nothing more is sent (W8)."""
    for lease in sorted(held, key=lambda one: one.id):  # in the order in which others lock them
        try:
            await due.settle(tx, Delivery, lease, due_at=None, state=DeliveryState.CANCELLED, finished_at=tx.now)
        except due.Fenced:
            continue
