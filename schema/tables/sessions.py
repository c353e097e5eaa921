"""Sessions: people who are signed in."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from schema.tables.base import Owned, instant


class Session(Owned, table=True):
    """Somebody signed in, in one browser: only the digest of the cookie is kept. Signing out deletes the row."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user_id", "user_id"),)
    NOUN: ClassVar[str] = "Session"

    user_id: str = Field(foreign_key="users.id", max_length=25, ondelete="CASCADE")
    digest: str = Field(max_length=64, unique=True)
    user_agent: str | None = Field(default=None, max_length=200)
    address: str | None = Field(default=None, max_length=45)
    created_at: datetime = instant()
    last_used_at: datetime = instant()
    expires_at: datetime = instant()
