"""Appointments, made by people over the API or by an agent in a call (decision T1)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from schema.rules.appointments import AppointmentStatus
from schema.tables.base import Owned, enum, instant


class Appointment(Owned, table=True):
    """A meeting with a contact."""

    __tablename__ = "appointments"
    __table_args__ = (
        Index("ix_appointments_list", "workspace_id", "start_time", "id"),
        Index("ix_appointments_contact_id", "contact_id"),
    )
    NOUN: ClassVar[str] = "Appointment"

    contact_id: str = Field(foreign_key="contacts.id", max_length=25)
    call_id: str | None = Field(default=None, foreign_key="calls.id", max_length=25)
    title: str = Field(max_length=200)
    notes: str | None = Field(default=None, max_length=5_000)
    status: AppointmentStatus = enum(AppointmentStatus, AppointmentStatus.CONFIRMED)
    start_time: datetime = instant()
    end_time: datetime = instant()
    created_at: datetime = instant()
    updated_at: datetime = instant()
