"""Agents: the AI voices that handle calls (decision A1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from schema.tables.base import SoftDeleted, instant, json


class Agent(SoftDeleted, table=True):
    """An agent; deleting one keeps its past calls readable (decision A2)."""

    __tablename__ = "agents"
    __table_args__ = (Index("ix_agents_list", "workspace_id", "created_at", "id"),)
    NOUN: ClassVar[str] = "Agent"

    name: str = Field(max_length=200)
    is_active: bool = True
    voice: str = Field(max_length=64)
    first_message: str | None = Field(default=None, max_length=5_000)
    system_prompt: str = Field(max_length=50_000)
    language: str = Field(max_length=35)
    max_call_duration: int
    voicemail_message: str | None = Field(default=None, max_length=5_000)
    tools: Any = json(nullable=False)
    created_at: datetime = instant()
    updated_at: datetime = instant()
