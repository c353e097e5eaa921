"""Webhooks: endpoints, and the events that go to them (decisions W1–W3, W6–W8). Sending is in `deliveries`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import col

from schema.errors import Invalid
from schema.rules.audit import Action
from schema.rules.calls import CallStatus, EndReason
from schema.rules.endpoints import DEFAULT_OVERLAP_S, endpoint, overlap, retire
from schema.rules.fields import Shape, camel
from schema.rules.plans import Counted
from schema.rules.scopes import Resource
from schema.rules.webhooks import (
    AttemptTrigger,
    CallFacts,
    EventType,
    analysis_complete,
    call_ended,
    call_failed,
    call_started,
    new_secret,
    parse_events,
    render,
    sample_data,
    transcript_ready,
)
from schema.runtime import Reads, Transaction
from schema.services import audit, events, failing, limits, watching
from schema.services.changes import apply
from schema.services.keys import check_acting
from schema.services.paging import Page, newest_first, page
from schema.tables import Call, Delivery, Event, WebhookEndpoint

QUEUE = "deliveries"
_AUDITED = ("url", "description", "events", "is_active")


async def list_page(tx: Reads, *, limit: int | None = None, offset: int | None = None) -> Page[WebhookEndpoint]:
    """The workspace's endpoints, newest first."""
    return await page(tx, tx.select(WebhookEndpoint), order=newest_first(WebhookEndpoint), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> WebhookEndpoint:
    """One endpoint. Raises NotFound."""
    return await tx.get(WebhookEndpoint, id)


async def create(tx: Transaction, given: Mapping[str, Any]) -> WebhookEndpoint:
    """A new endpoint with a secret of its own.

    Raises LimitReached, Invalid, also for an address that is not public HTTPS (W6), and as `check_acting`.
    """
    clean = _shape(tx).new(given)
    await check_acting(tx, Resource.WEBHOOKS)  # who sees the secret
    await limits.take_room(tx, Counted.WEBHOOK_ENDPOINTS)
    row = tx.add(
        WebhookEndpoint(
            id=tx.new_id(),
            workspace_id=tx.workspace_id,
            secret=new_secret(),
            previous_secrets=[],
            created_at=tx.now,
            updated_at=tx.now,
            **clean,
        )
    )
    audit.note(tx, Action.WEBHOOK_ENDPOINT_CREATED, row.id, row.url)
    return row


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> WebhookEndpoint:
    """Change the fields given; pending deliveries obey at once (W8). Raises NotFound, Invalid, and as `check_acting`.

    Switching it on again forgets that it failed; what it missed meanwhile is sent by `recovery.recover`.
    """
    await check_acting(tx, Resource.WEBHOOKS)  # who says where everything goes
    row = await tx.lock(WebhookEndpoint, id)
    before = {name: getattr(row, name) for name in _AUDITED}
    if not apply(row, _shape(tx).changes(given), tx.now):
        return row
    changes = {camel(name): (was, getattr(row, name)) for name, was in before.items() if was != getattr(row, name)}
    audit.note(tx, Action.WEBHOOK_ENDPOINT_UPDATED, id, row.url, changes)
    if "isActive" in changes and not row.is_active:
        await _cancel_pending(tx, id)
    elif "isActive" in changes:  # what it was disabled for is over: five days begin with its next failure
        row.failing_since = row.disabled_at = row.disabled_reason = None
    if "url" in changes:  # another receiver, of which nothing is known
        row.failing_since = None
    return row


async def delete(tx: Transaction, id: str) -> str:
    """Delete an endpoint; nothing more is sent to it (W8). Raises NotFound."""
    row = await tx.lock(WebhookEndpoint, id)
    row.deleted_at = tx.now
    audit.note(tx, Action.WEBHOOK_ENDPOINT_DELETED, id, row.url)
    await _cancel_pending(tx, id)
    return id


async def rotate_secret(tx: Transaction, id: str, *, overlap_seconds: int | None = None) -> WebhookEndpoint:
    """A new secret; the old one stays good for the overlap (W3). Raises NotFound, Invalid, and as `check_acting`."""
    await check_acting(tx, Resource.WEBHOOKS)
    row = await tx.lock(WebhookEndpoint, id)
    until = tx.now + overlap(DEFAULT_OVERLAP_S if overlap_seconds is None else overlap_seconds)
    row.previous_secrets = retire(row.secret, until, row.previous_secrets, tx.now)
    row.secret = new_secret()
    row.updated_at = tx.now
    audit.note(tx, Action.WEBHOOK_ENDPOINT_SECRET_ROTATED, id, row.url)
    return row


async def test(tx: Transaction, id: str, event: str | None = None) -> Delivery:
    """Send an endpoint a made-up event, `call.ended` unless told, once (W7). Raises NotFound, Invalid."""
    row = await tx.lock(WebhookEndpoint, id)
    if not row.is_active:
        raise Invalid(f"Webhook endpoint with id {id} is not active")
    kind = parse_events([event], "event")[0] if event is not None else EventType.CALL_ENDED
    happened = await _made_up(tx, kind)
    return _deliver(tx, happened.id, kind, row.id, AttemptTrigger.TEST)


@dataclass(frozen=True, slots=True)
class TriggeredEvent:
    """A made-up event, and how many endpoints it is sent to."""

    id: str
    event: EventType
    created_at: datetime
    deliveries: int


async def trigger(tx: Transaction, event: str) -> TriggeredEvent:
    """Have a made-up event happen: those who follow the feed get it, and every endpoint that wants it, once.

    As `test` does for one endpoint, wanted or not. Raises Invalid.
    """
    (kind,) = parse_events([event], "event")
    happened = await _made_up(tx, kind)
    sent = [_deliver(tx, happened.id, kind, id, AttemptTrigger.TEST) for id in await _subscribed(tx, kind)]
    return TriggeredEvent(happened.id, kind, happened.created_at, len(sent))


async def emit_started(tx: Transaction, call: Call) -> None:
    """`call.started`: the call was submitted to the carrier (W2), whatever the carrier said."""
    facts = replace(_facts(call), status=CallStatus.IN_PROGRESS, duration=0)
    await _emit(tx, EventType.CALL_STARTED, [(call, call_started(facts))])


async def emit_ended(tx: Transaction, call: Call) -> None:
    """`call.ended`: the call connected and is over (W2)."""
    await _emit(tx, EventType.CALL_ENDED, [(call, call_ended(_facts(call)))])


async def emit_failed(tx: Transaction, calls: Sequence[Call]) -> None:
    """`call.failed`: the calls did not connect (W2)."""
    await _emit(
        tx,
        EventType.CALL_FAILED,
        [(call, call_failed(_facts(call), call.end_reason or EndReason.INTERNAL_ERROR)) for call in calls],
    )


async def emit_transcript(tx: Transaction, call: Call) -> None:
    """`transcript.ready` (W2)."""
    await _emit(tx, EventType.TRANSCRIPT_READY, [(call, transcript_ready(_facts(call), call.transcript or []))])


async def emit_analysis(tx: Transaction, call: Call) -> None:
    """`analysis.complete` (W2)."""
    await _emit(tx, EventType.ANALYSIS_COMPLETE, [(call, analysis_complete(_facts(call), call.analysis))])


def _facts(call: Call) -> CallFacts:
    return CallFacts(call.id, call.status, call.duration, call.to_number, call.agent_id, call.campaign_id)


async def _emit(tx: Transaction, event: EventType, calls: Sequence[tuple[Call, Mapping[str, Any]]]) -> None:
    """Render each body once (W1) and give every subscribed endpoint a delivery, in the caller's transaction.

    The event is kept for the feed (`events`), also where nobody is subscribed.

    Once for each call and type (W2): a worker that takes over after a crash may say it again, and nothing happens.
    """
    happened = [_happened(tx, event, data, call_id=call.id) for call, data in calls]
    if len(happened) == 1:
        new = happened if await tx.insert_once(Event, happened[0]) else []
    else:
        await tx.insert_new(Event, happened)
        there = tx.select(Event).where(col(Event.id).in_([one["id"] for one in happened]))
        ids = set((await tx.execute(there.with_only_columns(col(Event.id)))).scalars())
        new = [one for one in happened if one["id"] in ids]
    if not new:
        return
    events.ring(tx)
    for id in await _subscribed(tx, event):
        for one in new:
            _deliver(tx, one["id"], event, id, AttemptTrigger.AUTOMATIC)


async def _made_up(tx: Transaction, event: EventType) -> Event:
    happened = tx.add(Event(**_happened(tx, event, sample_data(event), call_id=None)))
    await tx.flush()  # deliveries refer to it
    events.ring(tx)
    return happened


async def _subscribed(tx: Transaction, event: EventType) -> list[str]:
    """The endpoints that want it."""
    active = tx.select(WebhookEndpoint).where(col(WebhookEndpoint.is_active).is_(True))
    return [row.id for row in await tx.all(active) if event.value in row.events]


def _happened(tx: Transaction, event: EventType, data: Mapping[str, Any], *, call_id: str | None) -> dict[str, Any]:
    """The columns of an event of now."""
    return {
        "id": tx.new_id(),
        "workspace_id": tx.workspace_id,
        "type": event,
        "call_id": call_id,
        "body": render(event, tx.now, data),
        "created_at": tx.now,
    }


def _deliver(tx: Transaction, event_id: str, event: EventType, endpoint_id: str, trigger: AttemptTrigger) -> Delivery:
    tx.ring(QUEUE)
    watching.deliveries_changed(tx, endpoint_id)
    return tx.add(
        Delivery(
            id=tx.new_id(),
            workspace_id=tx.workspace_id,
            event_id=event_id,
            endpoint_id=endpoint_id,
            event=event,
            trigger=trigger,
            retries=trigger is AttemptTrigger.AUTOMATIC,
            due_at=tx.now,
            created_at=tx.now,
        )
    )


async def _cancel_pending(tx: Transaction, endpoint_id: str) -> None:
    await failing.lock_pending(tx, [endpoint_id])
    await failing.cancel_pending(tx, [endpoint_id])


def _shape(tx: Transaction) -> Shape:
    return endpoint(allow_http=tx.settings.webhook_allow_http, allow_networks=tx.settings.webhook_allow_networks)
