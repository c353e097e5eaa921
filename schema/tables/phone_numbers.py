"""Phone numbers that calls are placed from."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from schema.tables.base import Owned, instant


class PhoneNumber(Owned, table=True):
    """A caller's number and the carrier it is reached through.

    `next_dial_at`: no dial from it before then, by its pace (`calls_per_second`; None: as fast as can be) or because
    its carrier could not take the last ones, of which `setbacks` counts those in a row.
    """

    __tablename__ = "phone_numbers"
    __table_args__ = (UniqueConstraint("workspace_id", "phone_number"),)
    NOUN: ClassVar[str] = "Phone number"

    phone_number: str = Field(max_length=16)
    name: str = Field(max_length=200)
    carrier: str = Field(max_length=32)
    is_active: bool = True
    calls_per_second: int | None = None
    next_dial_at: datetime | None = instant(nullable=True)
    setbacks: int = 0
    created_at: datetime = instant()
    updated_at: datetime = instant()
