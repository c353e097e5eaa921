"""Campaigns and the contacts enrolled in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from schema.rules.campaigns import CampaignContactStatus, CampaignStatus
from schema.tables.base import Owned, enum, instant, json


class Campaign(Owned, table=True):
    """Outbound calling of a list of contacts with one agent from one number (decisions P1–P6).

    `calls_total` and `calls_completed` are kept counters: contacts enrolled, contacts finished (P3).
    """

    __tablename__ = "campaigns"
    __table_args__ = (
        Index("ix_campaigns_list", "workspace_id", "created_at", "id"),
        Index("ix_campaigns_agent_id", "agent_id"),
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
    max_concurrent_calls: int
    retry_policy: Any = json(nullable=False)
    calls_total: int = 0
    calls_completed: int = 0
    created_at: datetime = instant()
    updated_at: datetime = instant()


class CampaignContact(Owned, table=True):
    """One contact enrolled in one campaign, once."""

    __tablename__ = "campaign_contacts"
    __table_args__ = (
        UniqueConstraint("campaign_id", "contact_id"),
        Index("ix_campaign_contacts_list", "campaign_id", "id"),
    )
    NOUN: ClassVar[str] = "Campaign contact"

    campaign_id: str = Field(foreign_key="campaigns.id", max_length=25)
    contact_id: str = Field(foreign_key="contacts.id", max_length=25)
    status: CampaignContactStatus = enum(CampaignContactStatus, CampaignContactStatus.PENDING)
    created_at: datetime = instant()
