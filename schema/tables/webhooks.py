"""Webhook endpoints, the events that happened, their deliveries, and the log of every attempt (decisions W1–W7)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlmodel import Field

from schema.rules.webhooks import AttemptTrigger, DeliveryState, ErrorClass, EventType
from schema.tables.base import Job, Owned, SoftDeleted, due_index, enum, instant, json


class WebhookEndpoint(SoftDeleted, table=True):
    """Where a workspace wants its events; `previous_secrets` are those still good for a while (W3).

    `failing_since`: the first failure after the last success. `disabled_at`: we switched it off, not its owner.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("ix_webhook_endpoints_list", "workspace_id", "created_at", "id"),)
    NOUN: ClassVar[str] = "Webhook endpoint"

    url: str = Field(max_length=2_048)
    description: str | None = Field(default=None, max_length=500)
    events: Any = json(nullable=False)
    is_active: bool = True
    secret: str = Field(max_length=80)
    previous_secrets: Any = json(nullable=False)  # [{"secret", "expiresAt"}], newest first
    failing_since: datetime | None = instant(nullable=True)
    disabled_at: datetime | None = instant(nullable=True)
    disabled_reason: str | None = Field(default=None, max_length=500)
    created_at: datetime = instant()
    updated_at: datetime = instant()


class Event(Owned, table=True):
    """Something that happened, with the body rendered once; one of each type for a call (decision W2)."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("call_id", "type"), Index("ix_events_list", "workspace_id", "created_at", "id"))
    NOUN: ClassVar[str] = "Event"

    type: EventType = enum(EventType)
    call_id: str | None = Field(default=None, foreign_key="calls.id", max_length=25)
    body: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = instant()


class Delivery(Job, table=True):
    """One event on its way to one endpoint: the row is the job, and `due_at` holds the retry ladder (decision W5)."""

    __tablename__ = "deliveries"
    __table_args__ = (
        due_index("deliveries"),
        Index("ix_deliveries_list", "endpoint_id", "created_at", "id"),
        UniqueConstraint("event_id", "endpoint_id"),
    )
    NOUN: ClassVar[str] = "Delivery"

    event_id: str = Field(foreign_key="events.id", max_length=25)
    endpoint_id: str = Field(foreign_key="webhook_endpoints.id", max_length=25)
    event: EventType = enum(EventType)
    state: DeliveryState = enum(DeliveryState, DeliveryState.PENDING)
    trigger: AttemptTrigger = enum(AttemptTrigger, AttemptTrigger.AUTOMATIC)
    retries: bool = True  # whether a failure goes on to the next step of the ladder
    automatic_attempts: int = 0
    attempts_made: int = 0
    created_at: datetime = instant()
    finished_at: datetime | None = instant(nullable=True)


class DeliveryAttempt(Owned, table=True):
    """One request that was sent, and what came back (decision W7: no secrets, no signatures)."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (UniqueConstraint("delivery_id", "number"),)
    NOUN: ClassVar[str] = "Delivery attempt"

    delivery_id: str = Field(foreign_key="deliveries.id", max_length=25)
    number: int
    trigger: AttemptTrigger = enum(AttemptTrigger)
    started_at: datetime = instant()
    duration_ms: int
    status_code: int | None = None
    error_class: ErrorClass | None = enum(ErrorClass, nullable=True)
    error: str | None = Field(default=None, max_length=500)
    response_body: str | None = None
    next_attempt_at: datetime | None = instant(nullable=True)
