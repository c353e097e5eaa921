"""Campaigns, the contacts enrolled in them, and the dialer that works through them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from schema.rules.calls import EndReason, WaitReason
from schema.rules.campaigns import CampaignContactStatus, CampaignStatus
from schema.tables.base import Job, Owned, due_index, enum, instant, json

_WAITING = text("next_attempt_at IS NOT NULL")


class Campaign(Owned, table=True):
    """Outbound calling of a list of contacts with one agent from one number (decisions P1–P6).

    `calls_total` and `calls_completed` are kept counters: contacts enrolled, contacts finished (P3). `cursor` is the
    position of the last contact that was taken: those beyond it have not been called, and finding the next costs the
    same among a million as among ten.
    """

    __tablename__ = "campaigns"
    __table_args__ = (
        Index("ix_campaigns_list", "workspace_id", "created_at", "id"),
        Index("ix_campaigns_agent_id", "agent_id"),
        Index("ix_campaigns_status", "workspace_id", "status"),
    )
    NOUN: ClassVar[str] = "Campaign"

    name: str = Field(max_length=200)
    status: CampaignStatus = enum(CampaignStatus, CampaignStatus.ACTIVE)
    agent_id: str = Field(foreign_key="agents.id", max_length=25)
    phone_number_id: str = Field(foreign_key="phone_numbers.id", max_length=25)
    scheduled_start: datetime = instant()
    timezone: str = Field(max_length=64)
    window_start: str | None = Field(default=None, max_length=5)
    window_end: str | None = Field(default=None, max_length=5)
    call_days: Any = json()
    contact_window_start: str | None = Field(default=None, max_length=5)
    contact_window_end: str | None = Field(default=None, max_length=5)
    max_concurrent_calls: int
    retry_policy: Any = json(nullable=False)
    calls_total: int = 0
    calls_completed: int = 0
    cursor: int = 0
    created_at: datetime = instant()
    updated_at: datetime = instant()


class CampaignContact(Owned, table=True):
    """One contact enrolled in one campaign, once.

    `position` counts from 1 in the order of enrolment; unlike ids and instants it cannot go back when a clock does.
    `next_attempt_at` is set while the contact waits: for its next try, or for hours in which it may be called.
    `waiting_for` says why, and for one that is being called, why its call is held back. `attempts` counts calls that
    were dialed, and the one that is open.
    """

    __tablename__ = "campaign_contacts"
    __table_args__ = (
        UniqueConstraint("campaign_id", "contact_id"),
        Index("uq_campaign_contacts_position", "campaign_id", "position", unique=True),
        Index(
            "ix_campaign_contacts_next_attempt",
            "campaign_id",
            "next_attempt_at",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
    )
    NOUN: ClassVar[str] = "Campaign contact"

    campaign_id: str = Field(foreign_key="campaigns.id", max_length=25)
    contact_id: str = Field(foreign_key="contacts.id", max_length=25)
    position: int
    status: CampaignContactStatus = enum(CampaignContactStatus, CampaignContactStatus.PENDING)
    attempts: int = 0
    next_attempt_at: datetime | None = instant(nullable=True)
    waiting_for: WaitReason | None = enum(WaitReason, nullable=True)
    end_reason: EndReason | None = enum(EndReason, nullable=True)
    finished_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()


class Dialer(Job, table=True):
    """What gives a workspace's calls their slots: one row, whose id is the workspace's.

    Its lock is what limits are counted under; `due_at` is the next instant at which anything can change by itself.
    """

    __tablename__ = "dialers"
    __table_args__ = (due_index("dialers"),)
    NOUN: ClassVar[str] = "Dialer"
