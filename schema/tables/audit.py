"""The audit log: rows are added and never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from schema.rules.audit import Action, Actor
from schema.tables.base import Owned, enum, instant, json


class AuditEntry(Owned, table=True):
    """Who did what, from where. Names are as they were then; `changes` is `{"field": [before, after]}`, no secrets."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_list", "workspace_id", "created_at", "id"),)
    NOUN: ClassVar[str] = "Audit entry"

    action: Action = enum(Action)
    actor: Actor = enum(Actor)
    actor_id: str | None = Field(default=None, max_length=25)
    actor_name: str | None = Field(default=None, max_length=254)
    address: str | None = Field(default=None, max_length=45)
    subject_id: str = Field(max_length=25)
    subject_name: str | None = Field(default=None, max_length=2_048)
    changes: Any = json()
    created_at: datetime = instant()
