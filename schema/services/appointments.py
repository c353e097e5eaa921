"""Appointments: list, get, create, update (decision T1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col

from schema.rules import moves
from schema.rules.appointments import APPOINTMENT, APPOINTMENT_CHANGES, AppointmentStatus, check_times
from schema.rules.instants import check_range, parse_from, parse_to
from schema.runtime import Reads, Transaction
from schema.services.changes import apply
from schema.services.paging import Page, page
from schema.tables import Appointment, Contact


async def list_page(
    tx: Reads,
    *,
    status: AppointmentStatus | None = None,
    contact_id: str | None = None,
    start: str | None = None,
    end: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> Page[Appointment]:
    """The workspace's appointments, earliest first (R3); `start` and `end`, dates or instants, bound `startTime`."""
    first = parse_from(start) if start is not None else None
    last = parse_to(end) if end is not None else None
    check_range(first, last)
    statement = tx.select(Appointment)
    if status is not None:
        statement = statement.where(col(Appointment.status) == status)
    if contact_id is not None:
        statement = statement.where(col(Appointment.contact_id) == contact_id)
    if first is not None:
        statement = statement.where(col(Appointment.start_time) >= first)
    if last is not None:
        statement = statement.where(col(Appointment.start_time) <= last)
    return await page(tx, statement, order=(Appointment.start_time, Appointment.id), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> Appointment:
    """One appointment. Raises NotFound."""
    return await tx.get(Appointment, id)


async def create(tx: Transaction, given: Mapping[str, Any], *, call_id: str | None = None) -> Appointment:
    """A confirmed appointment with a contact. Raises Invalid, NotFound for an unknown contact."""
    clean = APPOINTMENT.new(given)
    check_times(clean["start_time"], clean["end_time"])
    await tx.get(Contact, clean["contact_id"])
    return tx.add(
        Appointment(
            id=tx.new_id(),
            workspace_id=tx.workspace_id,
            call_id=call_id,
            created_at=tx.now,
            updated_at=tx.now,
            **clean,
        )
    )


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> Appointment:
    """Change the fields given; all statuses but confirmed are final. Raises NotFound, Invalid."""
    row = await tx.lock(Appointment, id)
    clean = APPOINTMENT_CHANGES.changes(given)
    moves.check(moves.APPOINTMENT, "Appointment", row.status, clean.get("status", row.status))
    check_times(clean.get("start_time", row.start_time), clean.get("end_time", row.end_time))
    apply(row, clean, tx.now)
    return row


async def book_in_call(tx: Transaction, given: Mapping[str, Any], *, call_id: str) -> Appointment:
    """`create` by an agent in a call; said twice for the same start, as after a crash, it is booked once."""
    statement = tx.select(Appointment).where(
        col(Appointment.call_id) == call_id, col(Appointment.start_time) == given["start_time"]
    )
    return await tx.first(statement) or await create(tx, given, call_id=call_id)
