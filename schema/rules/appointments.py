"""Appointments: statuses, fields and bounds (decision T1)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from schema.errors import Invalid
from schema.rules.fields import Field, Shape, choice, identifier, instant, text


class AppointmentStatus(StrEnum):
    """How an appointment stands; all but `confirmed` are final."""

    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    NO_SHOW = "no-show"


APPOINTMENT = Shape(
    contact_id=Field(identifier, required=True),
    start_time=Field(instant, required=True),
    end_time=Field(instant, required=True),
    title=Field(text(1, 200), required=True),
    notes=Field(text(0, 5_000, strip=False), nullable=True),
)

APPOINTMENT_CHANGES = Shape(
    start_time=Field(instant),
    end_time=Field(instant),
    title=Field(text(1, 200)),
    notes=Field(text(0, 5_000, strip=False), nullable=True),
    status=Field(choice(AppointmentStatus)),
)


def check_times(start: datetime, end: datetime) -> None:
    """Raise Invalid unless the end is after the start."""
    if end <= start:
        raise Invalid("endTime must be after startTime")
