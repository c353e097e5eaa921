"""Appointments (decision T1)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from schema.errors import Invalid, NotFound
from schema.rules.appointments import AppointmentStatus
from schema.runtime import Runtime, Viewer
from schema.services import appointments, contacts
from schema.tables import Appointment
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock

TEN, ELEVEN = at("2025-02-15T10:00:00Z"), at("2025-02-15T11:00:00Z")
FINAL = [AppointmentStatus.CANCELLED, AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW]
UNKNOWN = "c0000000000000000unknown0"


@on_both
async def test_a_new_appointment_is_confirmed(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    person = await seeds.contact(runtime, viewer)
    there = datetime(2025, 2, 15, 15, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    row = await act(
        appointments.create, {"contact_id": person.id, "title": "Demo", "start_time": there, "end_time": ELEVEN}
    )

    kept = await appointments.get(runtime.snapshot(viewer), row.id)
    now = runtime.clock.now()
    assert {name: getattr(kept, name) for name in Appointment.model_fields} == {
        "id": row.id,
        "workspace_id": viewer.workspace_id,
        "contact_id": person.id,
        "call_id": None,
        "title": "Demo",
        "notes": None,
        "status": AppointmentStatus.CONFIRMED,
        "start_time": TEN,  # UTC, whole seconds (R4)
        "end_time": ELEVEN,
        "created_at": now,
        "updated_at": now,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"end_time": TEN}, "endTime must be after startTime"),
        ({"end_time": TEN + timedelta(microseconds=999_999)}, "endTime must be after startTime"),
        ({"start_time": datetime(2025, 2, 15)}, "startTime must be an ISO 8601 instant with an offset or Z"),  # noqa: DTZ001
        ({"start_time": None}, "startTime cannot be null"),
        ({"title": ""}, "title must not be empty"),
        ({"contact_id": ""}, "contactId must be an id"),
        ({"status": "completed"}, "Unknown field 'status'"),
    ],
)
async def test_what_breaks_a_rule_is_refused(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, given: dict[str, Any], message: str
) -> None:
    person = await seeds.contact(runtime, viewer)
    good = {"contact_id": person.id, "title": "Demo", "start_time": TEN, "end_time": ELEVEN}

    async with refused(Invalid, message):
        await act(appointments.create, {**good, **given})


async def test_the_contact_must_exist(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    """T1, E5: also one of another workspace, and one that is deleted."""
    theirs = await seeds.contact(runtime, await seeds.workspace(runtime, name="Other"))
    gone = await seeds.contact(runtime, viewer)
    await act(contacts.delete, gone.id)

    for id in (UNKNOWN, theirs.id, gone.id):
        async with refused(NotFound, f"Contact with id {id} not found"):
            await act(appointments.create, {"contact_id": id, "title": "Demo", "start_time": TEN, "end_time": ELEVEN})


@pytest.mark.parametrize("status", FINAL)
async def test_a_confirmed_appointment_may_go_anywhere_and_stays_there(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, clock: VirtualClock, status: AppointmentStatus
) -> None:
    row = await seeds.appointment(runtime, viewer)
    await clock.advance(1)

    moved = await act(appointments.update, row.id, {"status": status})

    assert (moved.status, moved.updated_at) == (status, clock.now())
    for other in {*AppointmentStatus} - {status}:
        message = f"Appointment cannot go from {status.value} to {other.value}: {status.value} is final"
        async with refused(Invalid, message):
            await act(appointments.update, row.id, {"status": other, "title": "Other"})


@pytest.mark.parametrize("status", AppointmentStatus)
async def test_the_status_it_has_may_be_set_again(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged, clock: VirtualClock, status: AppointmentStatus
) -> None:
    row = await seeds.appointment(runtime, viewer)
    await act(appointments.update, row.id, {"status": status})
    await clock.advance(1)

    async with unchanged():
        await act(appointments.update, row.id, {"status": status.value})


async def test_times_are_checked_against_those_that_stay(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    row = await seeds.appointment(runtime, viewer, start_time=TEN, end_time=ELEVEN)

    async with refused(Invalid, "endTime must be after startTime"):
        await act(appointments.update, row.id, {"start_time": ELEVEN})
    async with refused(Invalid, "endTime must be after startTime"):
        await act(appointments.update, row.id, {"end_time": TEN})
    later = ELEVEN + timedelta(hours=1)
    moved = await act(appointments.update, row.id, {"start_time": ELEVEN, "end_time": later})
    assert (moved.start_time, moved.end_time) == (ELEVEN, later)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"contact_id": UNKNOWN}, "Unknown field 'contactId'"),
        ({"status": "done"}, "status must be one of: confirmed, cancelled, completed, no-show"),
        ({"status": None}, "status cannot be null"),
        ({"title": None}, "title cannot be null"),
    ],
)
async def test_what_cannot_change_is_refused(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, given: dict[str, Any], message: str
) -> None:
    row = await seeds.appointment(runtime, viewer, notes="Bring slides")

    async with refused(Invalid, message):
        await act(appointments.update, row.id, {"notes": None, **given})


async def test_absent_stays_and_null_clears(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """R6."""
    row = await seeds.appointment(runtime, viewer, notes="Bring slides")

    assert (await act(appointments.update, row.id, {"title": "Call"})).notes == "Bring slides"
    assert (await act(appointments.update, row.id, {"notes": None})).notes is None


@on_both
async def test_appointments_are_listed_earliest_first_and_filtered(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """T1, R3, R4."""
    starts = ["2025-02-16T00:00:00Z", "2025-02-14T23:59:59Z", "2025-02-15T10:00:00Z", "2025-02-15T23:59:59Z"]
    rows = [await seeds.appointment(runtime, viewer, start_time=at(start)) for start in starts]
    await act(appointments.update, rows[2].id, {"status": "no-show"})
    tx = runtime.snapshot(viewer)

    async def listed(**filters: Any) -> list[int]:
        page = await appointments.list_page(tx, **filters)
        assert page.total == len(page.nodes)
        return [[row.id for row in rows].index(found.id) for found in page.nodes]

    assert await listed() == [1, 2, 3, 0]
    assert await listed(status=AppointmentStatus.NO_SHOW) == [2]
    assert await listed(contact_id=rows[3].contact_id) == [3]
    assert await listed(start="2025-02-15") == [2, 3, 0]
    assert await listed(end="2025-02-15") == [1, 2, 3]
    assert await listed(start="2025-02-15", end="2025-02-15") == [2, 3]
    assert await listed(start="2025-02-15T15:30:00+05:30", end="2025-02-15T10:00:00Z") == [2]
    assert await listed(start="2025-02-15T10:00:01Z", end="2025-02-15T23:59:58Z") == []


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"start": "2025-02-16", "end": "2025-02-15"}, "from must not be after to"),
        ({"start": "soon"}, "from must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"),
        ({"end": "2025-02-30"}, "to must be a date such as 2025-02-15 or an instant such as 2025-02-15T10:00:00Z"),
    ],
)
async def test_bad_filters_are_refused(
    runtime: Runtime, viewer: Viewer, refused: Refused, filters: dict[str, str], message: str
) -> None:
    """R7."""
    async with refused(Invalid, message):
        await appointments.list_page(runtime.snapshot(viewer), **filters)


@on_both
async def test_an_agent_books_once_in_a_call(runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged) -> None:
    call = await seeds.call(runtime, viewer)
    person = await seeds.contact(runtime, viewer)
    given = {"contact_id": person.id, "title": "Demo", "start_time": TEN, "end_time": ELEVEN}

    row = await act(appointments.book_in_call, given, call_id=call.id)

    assert (row.call_id, row.status) == (call.id, AppointmentStatus.CONFIRMED)
    async with unchanged():
        assert (await act(appointments.book_in_call, given, call_id=call.id)).id == row.id
    other = await act(appointments.book_in_call, {**given, "start_time": TEN - timedelta(hours=1)}, call_id=call.id)
    assert other.id != row.id
