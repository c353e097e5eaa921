"""Requests that carried an `Idempotency-Key`, each with its answer (decision R10)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, LargeBinary
from sqlmodel import Field

from schema.tables.base import Owned, instant


class IdempotencyKey(Owned, table=True):
    """A key: reserved while `status` is None, answered from then on.

    `id` is a digest of workspace, route and key, so that the primary key is what makes ten requests one. `token` is
    the fence: only whoever reserved last may write the answer. A signing secret is never in `body`.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_expires_at", "expires_at"),)
    NOUN: ClassVar[str] = "Idempotency key"

    fingerprint: str = Field(max_length=64)
    token: str = Field(max_length=32)
    reserved_until: datetime = instant()
    expires_at: datetime = instant()
    status: int | None = None
    location: str | None = Field(default=None, max_length=200)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
