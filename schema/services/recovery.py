"""Recovering an endpoint: everything that it has missed since a time is sent to it, oldest first (decision 0013)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Integer, Select, String, cast, func, literal, select, text, tuple_, update
from sqlmodel import col

from schema.database import EnumText, Instant
from schema.errors import Invalid
from schema.rules.endpoints import recovery_span
from schema.rules.ids import id_stem
from schema.rules.webhooks import AttemptTrigger, DeliveryState, EventType
from schema.runtime import Transaction
from schema.services import watching
from schema.services.bulk import Write, insert_missing, note_growth
from schema.services.webhooks import QUEUE
from schema.tables import Delivery, Event, WebhookEndpoint

Missed: TypeAlias = Select[*tuple[Any, ...]]

_AT_ONCE = 2_000
"""Events looked at in one transaction: up to a fifth of a second, in which others wait where one writes at a time."""
_LAST_PLACE = 999_999  # microseconds in a second: see `_due`


@dataclass(frozen=True, slots=True)
class Recovery:
    """How many deliveries are under way because of it."""

    recovered: int


async def recover(write: Write, id: str, since: datetime, until: datetime | None = None) -> Recovery:
    """Send everything that happened since then and that the endpoint, as it is now, wants and has not got.

    Failed and cancelled deliveries begin their ladder anew; events without a delivery to it, because it was switched
    off, did not exist or did not want them, get one. What is pending or delivered is left alone, and so are test
    events. In parts, each committed by itself. Raises NotFound, Invalid.
    """
    recovered = passed = 0
    begin: tuple[datetime, str] | None = None
    last: datetime | None = None
    while True:
        async with write() as tx:
            row = await tx.lock(WebhookEndpoint, id)
            if last is None:
                since, last = recovery_span(since, until, now=tx.now, log_days=tx.settings.webhook_log_days)
            if not row.is_active:
                raise Invalid(f"Webhook endpoint with id {id} is not active")
            part = _part(tx, row, since, last, begin)
            end = (await tx.execute(part.offset(_AT_ONCE - 1).limit(1))).first()
            if end is not None:
                part = part.where(_age(end.created_at, end.id) >= _AGE)
            recovered += await _send(tx, row, part, passed)
            tx.ring(QUEUE)
            watching.deliveries_changed(tx, id)
            if end is None:
                await note_growth(tx, Delivery, recovered)
                return Recovery(recovered)
        begin, passed = (end.created_at, end.id), passed + _AT_ONCE


def _part(
    tx: Transaction, row: WebhookEndpoint, since: datetime, last: datetime, begin: tuple[datetime, str] | None
) -> Missed:
    """The calls' events that the endpoint wants, oldest first, after `begin`."""
    part = tx.select(Event).where(
        col(Event.created_at).between(since, last),
        col(Event.type).in_([EventType(event) for event in row.events]),
        col(Event.call_id).is_not(None),
    )
    if begin is not None:
        part = part.where(_age(*begin) < _AGE)
    part = part.order_by(col(Event.created_at), col(Event.id))
    return part.with_only_columns(col(Event.created_at), col(Event.id), col(Event.type))


async def _send(tx: Transaction, row: WebhookEndpoint, part: Missed, passed: int) -> int:
    """Have those of the part sent that are missing; `passed` events came before it."""
    events = part.subquery()
    number = func.row_number().over(order_by=(events.c.created_at, events.c.id))
    numbered = select(events.c.id, events.c.type, number.label("number")).subquery()
    due = _due(tx, numbered.c.number + passed)
    id, endpoint_id = col(Delivery.id), col(Delivery.endpoint_id) == row.id
    over = col(Delivery.state).in_([DeliveryState.FAILED, DeliveryState.CANCELLED])
    ours = (endpoint_id, over, col(Delivery.event_id) == numbered.c.id)
    if not tx.runtime.database.is_sqlite:  # in the order in which others lock them
        locked = select(id).select_from(numbered).join(Delivery, col(Delivery.event_id) == numbered.c.id)
        held = locked.where(endpoint_id, over).order_by(id).with_for_update(of=Delivery).subquery()
        await tx.execute(select(func.count()).select_from(held))
    again = await tx.execute(
        update(Delivery)
        .where(*ours)
        .values(
            state=DeliveryState.PENDING,
            trigger=AttemptTrigger.AUTOMATIC,
            retries=True,
            automatic_attempts=0,
            due_at=due,
            finished_at=None,
            version=Delivery.version + 1,
        )
        .execution_options(synchronize_session=False)
    )
    values: dict[str, ColumnElement[Any]] = {
        "id": literal(id_stem(tx.now), String) + func.substr(cast(numbered.c.number + 100_000_000, String), 2),
        "workspace_id": literal(row.workspace_id),
        "event_id": numbered.c.id,
        "endpoint_id": literal(row.id),
        "event": numbered.c.type,
        "state": literal(DeliveryState.PENDING, EnumText(DeliveryState)),
        "trigger": literal(AttemptTrigger.AUTOMATIC, EnumText(AttemptTrigger)),
        "retries": literal(value=True),
        "automatic_attempts": literal(0),
        "attempts_made": literal(0),
        "created_at": literal(tx.now, Instant()),
        "due_at": due,
        "version": literal(0),
    }
    return again.rowcount + await insert_missing(tx, Delivery, values)


def _due(tx: Transaction, number: ColumnElement[int]) -> ColumnElement[Any]:
    """Now, or a moment before: a microsecond later for each event, so that the oldest is sent first."""
    second = tx.now.replace(microsecond=0) - timedelta(seconds=1)
    if not tx.runtime.database.is_sqlite:
        later = func.least(number, _LAST_PLACE) * text("interval '1 microsecond'")
        return literal(second, Instant()).op("+", return_type=Instant())(later)
    micros = func.printf("%06d", func.min(cast(number, Integer), _LAST_PLACE))
    instant: ColumnElement[Any] = literal(second.strftime("%Y-%m-%dT%H:%M:%S."), String) + micros + "Z"
    return instant


_AGE = tuple_(col(Event.created_at), col(Event.id))


def _age(created_at: datetime, id: str) -> Any:
    return tuple_(literal(created_at, Instant()), literal(id))
