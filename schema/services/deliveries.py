"""Deliveries: the log, resending by hand, and the verbs of those who send (decisions W4, W5, W7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, insert, select, update
from sqlmodel import col

from schema import due
from schema.errors import Invalid
from schema.rules.endpoints import still_good
from schema.rules.instants import check_range, parse_from, parse_to
from schema.rules.webhooks import (
    AttemptTrigger,
    DeliveryState,
    ErrorClass,
    headers,
    is_success,
    next_delay,
    parse_events,
    user_agent,
)
from schema.runtime import Reads, Runtime, Transaction
from schema.services import failing
from schema.services.paging import Page, newest_first, page
from schema.services.webhooks import QUEUE
from schema.tables import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from schema.version import VERSION


async def list_page(
    tx: Reads,
    endpoint_id: str,
    *,
    state: DeliveryState | None = None,
    event: str | None = None,
    start: str | None = None,
    end: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> Page[Delivery]:
    """An endpoint's deliveries, newest first, 50 at a time unless told; `start` and `end` bound `createdAt`, inclusive.

    Raises NotFound, Invalid.
    """
    kind = parse_events([event], "event")[0] if event is not None else None
    first = parse_from(start) if start is not None else None
    last = parse_to(end) if end is not None else None
    check_range(first, last)
    await tx.get(WebhookEndpoint, endpoint_id)
    statement = tx.select(Delivery).where(col(Delivery.endpoint_id) == endpoint_id)
    if state is not None:
        statement = statement.where(col(Delivery.state) == state)
    if kind is not None:
        statement = statement.where(col(Delivery.event) == kind)
    if first is not None:
        statement = statement.where(col(Delivery.created_at) >= first)
    if last is not None:
        statement = statement.where(col(Delivery.created_at) <= last)
    return await page(tx, statement, order=newest_first(Delivery), limit=50 if limit is None else limit, offset=offset)


async def get(tx: Reads, id: str) -> Delivery:
    """One delivery. Raises NotFound."""
    return await tx.get(Delivery, id)


async def attempts(tx: Reads, ids: Sequence[str]) -> list[DeliveryAttempt]:
    """Every attempt of those deliveries, in order (W7)."""
    statement = tx.select(DeliveryAttempt).where(col(DeliveryAttempt.delivery_id).in_(ids))
    return await tx.all(statement.order_by(col(DeliveryAttempt.delivery_id), col(DeliveryAttempt.number)))


async def events(tx: Reads, ids: Sequence[str]) -> list[Event]:
    """The events with those ids."""
    return await tx.all(tx.select(Event).where(col(Event.id).in_(ids)))


async def resend(tx: Transaction, id: str) -> Delivery:
    """Send a delivery once more, now, whatever became of it. Raises NotFound, Invalid for an endpoint that is gone.

    The body and its `webhook-id` are those of the first time. A ladder that still runs goes on after it.
    """
    row = await tx.lock(Delivery, id)
    endpoint = await tx.first(tx.select(WebhookEndpoint).where(col(WebhookEndpoint.id) == row.endpoint_id))
    if endpoint is None:
        raise Invalid(f"The endpoint of delivery {id} has been deleted")
    if not endpoint.is_active:
        raise Invalid(f"Webhook endpoint with id {endpoint.id} is not active")
    if row.state is DeliveryState.PENDING and not row.attempts_made:
        tx.ring(QUEUE)
        return row  # its first attempt is under way or about to be
    row.retries = row.retries and row.state is DeliveryState.PENDING
    row.state = DeliveryState.PENDING
    row.trigger = AttemptTrigger.MANUAL
    row.finished_at = None
    row.due_at = tx.now
    row.version += 1
    tx.ring(QUEUE)
    return row


# --- for those who send: claim (due.lease), load, act, settle ---


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
    same, so it is in the log (W7); what becomes of the delivery is for whoever holds it now. An endpoint that has
    failed for long is disabled, and what was to be sent to it is cancelled (decision 0013).
    """
    ids = [result.outgoing.held.id for result in results]
    disabled = await failing.follow(tx, [_outcome(result) for result in results])
    if disabled:
        await failing.lock_pending(tx, disabled, ids)
    rows = await _locked(tx, ids)
    made = {id: attempts for id, (_, attempts) in rows.items()}
    settled: list[tuple[due.Lease, dict[str, Any]]] = []
    log: list[dict[str, Any]] = []
    for result in results:
        out = result.outgoing
        held = rows[out.held.id][0] == out.held.version
        made[out.held.id] += 1
        next_at = _next_attempt(tx, result) if held else None
        is_cut_off = next_at is not None and out.endpoint_id in disabled
        next_at = None if is_cut_off else next_at
        log.append(_log_line(tx, result, made[out.held.id], next_at))
        if held:
            step = {
                "due_at": next_at,
                "state": DeliveryState.CANCELLED if is_cut_off else await _state(tx, result, next_at),
                "trigger": AttemptTrigger.AUTOMATIC if next_at else out.trigger,
                "automatic_attempts": _automatic(out),
                "finished_at": None if next_at else result.ended_at,
            }
            settled.append((out.held, step))
        else:
            counted = update(Delivery).where(col(Delivery.id) == out.held.id).values(attempts_made=made[out.held.id])
            await tx.execute(counted.execution_options(synchronize_session=False))
    for lease, step in settled:
        step["attempts_made"] = made[lease.id]
    await due.settle_many(tx, Delivery, settled)
    await tx.execute(_LOG, log)
    if disabled:
        await failing.cancel_pending(tx, disabled)
    return len(settled)


_LOG = insert(DeliveryAttempt.__table__)  # type: ignore[attr-defined]  # the plain table: half of the time for many rows


async def _locked(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Version and number of attempts of each, the rows held until the transaction ends."""
    statement = select(col(Delivery.id), col(Delivery.version), col(Delivery.attempts_made))
    statement = statement.where(col(Delivery.id).in_(ids)).order_by(col(Delivery.id)).with_for_update()
    return {id: (version, made) for id, version, made in await tx.execute(statement)}


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
        is_delivered=_delivered(result),
        is_automatic=out.trigger is AttemptTrigger.AUTOMATIC,
        status=result.status_code,
        error_class=result.error_class,
    )


def _automatic(out: Outgoing) -> int:
    return out.automatic_attempts + (out.trigger is AttemptTrigger.AUTOMATIC)


def _delivered(result: Result) -> bool:
    return is_success(result.status_code) and result.error_class is None


def _next_attempt(tx: Transaction, result: Result) -> datetime | None:
    """The next step of the ladder, counted from the end of this attempt; None when there is none (W5)."""
    if _delivered(result) or not result.outgoing.retries:
        return None
    delay = next_delay(_automatic(result.outgoing), tx.settings.webhook_retry_schedule)
    return result.ended_at + timedelta(seconds=delay) if delay is not None else None


async def _state(tx: Transaction, result: Result, next_at: datetime | None) -> DeliveryState:
    if next_at is not None:
        return DeliveryState.PENDING
    if _delivered(result):
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
