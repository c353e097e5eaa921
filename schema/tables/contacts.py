"""Contacts, and the numbers that must never be called."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from schema.rules.contacts import DoNotCallSource
from schema.tables.base import Owned, SoftDeleted, enum, instant, json

_NOT_DELETED = text("deleted_at IS NULL")


class Contact(SoftDeleted, table=True):
    """Somebody who can be called; a number stands once in a workspace."""

    __tablename__ = "contacts"
    __table_args__ = (
        Index("ix_contacts_list", "workspace_id", "created_at", "id"),
        Index(
            "uq_contacts_phone_number",
            "workspace_id",
            "phone_number",
            unique=True,
            sqlite_where=_NOT_DELETED,
            postgresql_where=_NOT_DELETED,
        ),
    )
    NOUN: ClassVar[str] = "Contact"

    phone_number: str = Field(max_length=16)
    name: str | None = Field(default=None, max_length=200)
    email: str | None = Field(default=None, max_length=254)
    timezone: str | None = Field(default=None, max_length=64)
    notes: str | None = Field(default=None, max_length=5_000)
    custom_fields: Any = json(nullable=False)
    created_at: datetime = instant()
    updated_at: datetime = instant()


class DoNotCall(Owned, table=True):
    """A number on the workspace's do-not-call list (decision L5)."""

    __tablename__ = "do_not_call"
    __table_args__ = (UniqueConstraint("workspace_id", "phone_number"),)
    NOUN: ClassVar[str] = "Do-not-call entry"

    phone_number: str = Field(max_length=16)
    reason: str | None = Field(default=None, max_length=500)
    source: DoNotCallSource = enum(DoNotCallSource)
    call_id: str | None = Field(default=None, max_length=25)
    created_at: datetime = instant()
