"""Calls, and the attempts at a carrier that each took."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field

from schema.rules.calls import (
    AnsweredBy,
    AttemptState,
    CallDirection,
    CallPhase,
    CallStatus,
    EndReason,
    Outcome,
    Sentiment,
    WaitReason,
)
from schema.tables.base import Job, Owned, due_index, enum, instant, json

_OPEN = text("ended_at IS NULL")
_OF_CAMPAIGN = text("campaign_id IS NOT NULL")


class Call(Job, table=True):
    """One call: what the API shows (decision L1), and the job that makes it happen."""

    __tablename__ = "calls"
    __table_args__ = (
        due_index("calls"),
        Index("ix_calls_list", "workspace_id", "created_at", "id"),
        Index("ix_calls_status", "workspace_id", "status", "created_at", "id"),
        # The workspace first in each: SQLite, which keeps no statistics, would scan all its calls otherwise.
        Index("ix_calls_agent", "workspace_id", "agent_id", "created_at", "id"),
        Index("ix_calls_campaign", "workspace_id", "campaign_id", "created_at", "id"),
        Index("ix_calls_contact", "workspace_id", "contact_id", "created_at", "id"),
        # What the dialer counts slots and finds waiting calls by.
        Index(
            "ix_calls_open",
            "workspace_id",
            "phase",
            "campaign_id",
            "id",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        # Whatever happens, a campaign tries a number once for each attempt.
        Index(
            "uq_calls_attempt",
            "campaign_id",
            "to_number",
            "contact_attempt",
            unique=True,
            sqlite_where=_OF_CAMPAIGN,
            postgresql_where=_OF_CAMPAIGN,
        ),
    )
    NOUN: ClassVar[str] = "Call"

    status: CallStatus = enum(CallStatus, CallStatus.QUEUED)
    phase: CallPhase = enum(CallPhase, CallPhase.QUEUED)
    direction: CallDirection = enum(CallDirection, CallDirection.OUTBOUND)
    to_number: str = Field(max_length=16)
    from_number: str = Field(max_length=16)
    agent_id: str = Field(foreign_key="agents.id", max_length=25)
    phone_number_id: str = Field(foreign_key="phone_numbers.id", max_length=25)
    campaign_id: str | None = Field(default=None, foreign_key="campaigns.id", max_length=25)
    contact_id: str | None = Field(default=None, foreign_key="contacts.id", max_length=25)
    contact_attempt: int | None = None
    attempts_made: int = 0
    waiting_for: WaitReason | None = enum(WaitReason, nullable=True)
    dial_at: datetime | None = instant(nullable=True)  # its place in the pace of its number
    leg: str | None = Field(default=None, max_length=128)
    hangup_requested: bool = False

    duration: int | None = None
    summary: str | None = None
    sentiment: Sentiment | None = enum(Sentiment, nullable=True)
    outcome: Outcome | None = enum(Outcome, nullable=True)
    answered_by: AnsweredBy | None = enum(AnsweredBy, nullable=True)
    end_reason: EndReason | None = enum(EndReason, nullable=True)
    sip_code: int | None = None
    q850: int | None = None
    carrier_code: str | None = Field(default=None, max_length=64)
    recording: str | None = Field(default=None, max_length=128)
    recording_voice: str | None = Field(default=None, max_length=16)
    transcript: Any = json()
    analysis: Any = json()

    created_at: datetime = instant()
    updated_at: datetime = instant()
    started_at: datetime | None = instant(nullable=True)
    answered_at: datetime | None = instant(nullable=True)
    ended_at: datetime | None = instant(nullable=True)


class CallAttempt(Owned, table=True):
    """One dial at a carrier; its id is the token that the carrier knows it by."""

    __tablename__ = "call_attempts"
    __table_args__ = (Index("ix_call_attempts_call_id", "call_id"),)
    NOUN: ClassVar[str] = "Call attempt"

    call_id: str = Field(foreign_key="calls.id", max_length=25)
    number: int
    carrier: str = Field(max_length=32)
    state: AttemptState = enum(AttemptState)
    leg: str | None = Field(default=None, max_length=128)
    end_reason: EndReason | None = enum(EndReason, nullable=True)
    started_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)
