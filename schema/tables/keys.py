"""API keys: only a digest is kept (decision K1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from schema.tables.base import Owned, instant, json


class ApiKey(Owned, table=True):
    """A key of a workspace. `scopes` and `allowed_ips` None: everything, from everywhere (decisions K2, K3)."""

    __tablename__ = "api_keys"
    NOUN: ClassVar[str] = "API key"

    name: str = Field(max_length=100)
    digest: str = Field(max_length=64, unique=True)
    prefix: str = Field(max_length=16)
    last_four: str = Field(max_length=4)
    scopes: Any = json()
    allowed_ips: Any = json()
    expires_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)
    last_used_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()


class RetiredApiKey(Owned, table=True):
    """What a key's text was before it was rotated; it opens the same key until `good_until` (decision K4)."""

    __tablename__ = "retired_api_keys"
    __table_args__ = (Index("ix_retired_api_keys_api_key_id", "api_key_id"),)
    NOUN: ClassVar[str] = "Retired API key"

    api_key_id: str = Field(foreign_key="api_keys.id", max_length=25)
    digest: str = Field(max_length=64, unique=True)
    good_until: datetime = instant()
