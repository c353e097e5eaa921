"""Deliveries: the log, and resending by hand (decision W7). Sending is in `sending`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col

from schema.errors import Invalid
from schema.rules.instants import check_range, parse_from, parse_to
from schema.rules.webhooks import AttemptTrigger, DeliveryState, parse_events
from schema.runtime import Reads, Transaction
from schema.services import watching
from schema.services.paging import Page, newest_first, page
from schema.services.webhooks import QUEUE
from schema.tables import Delivery, DeliveryAttempt, Event, WebhookEndpoint


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
    watching.deliveries_changed(tx, row.endpoint_id)
    return row
