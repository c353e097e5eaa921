"""Decision T1, and contacts, which it needs."""

from __future__ import annotations

from typing import Any

import pytest

from schema.rules.appointments import AppointmentStatus
from schema.tables import Appointment
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, error
from tests.support.runtime import on_both

pytestmark = on_both

HOUR = {"startTime": "2025-02-15T10:00:00Z", "endTime": "2025-02-15T11:00:00Z", "title": "Demo"}
STATUSES = ["confirmed", "cancelled", "completed", "no-show"]


async def test_the_fields_of_an_appointment(api: Api) -> None:
    contact = await seeds.contact(api.runtime, api.viewer)

    appointment = (await api.post("/appointments", {"contactId": contact.id, **HOUR})).json()

    assert list(appointment.items()) == [
        ("id", appointment["id"]),
        ("contactId", contact.id),
        ("startTime", "2025-02-15T10:00:00Z"),
        ("endTime", "2025-02-15T11:00:00Z"),
        ("title", "Demo"),
        ("notes", None),
        ("status", "confirmed"),
        ("callId", None),
        ("createdAt", "2025-01-15T14:00:00Z"),
        ("updatedAt", "2025-01-15T14:00:00Z"),
    ]
    assert (await api.get("/appointments")).json() == [appointment]


@pytest.mark.parametrize("old", STATUSES)
async def test_moves_of_an_appointment(api: Api, old: str) -> None:
    """T1: confirmed goes anywhere, the rest are final."""
    row = await seeds.appointment(api.runtime, api.viewer)

    for new in STATUSES:
        await api.set(Appointment, row.id, status=AppointmentStatus(old))
        response = await api.patch(f"/appointments/{row.id}", {"status": new})
        kept = (await api.get(f"/appointments/{row.id}")).json()["status"]
        if old in ("confirmed", new):
            assert (response.status_code, kept) == (200, new)
        else:
            message = f"Appointment cannot go from {old} to {new}: {old} is final"
            assert (error(response), kept) == ((400, "BAD_REQUEST", message), old)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"endTime": "2025-02-15T10:00:00Z"}, (400, "BAD_REQUEST", "endTime must be after startTime")),
        ({"endTime": "2025-02-15T11:00:00+02:00"}, (400, "BAD_REQUEST", "endTime must be after startTime")),
        ({"contactId": UNKNOWN}, (404, "NOT_FOUND", f"Contact with id {UNKNOWN} not found")),
        ({"contactId": ""}, (400, "BAD_REQUEST", "contactId must be an id")),
        ({"contactId": None}, (400, "BAD_REQUEST", "contactId cannot be null")),
        ({"title": ""}, (400, "BAD_REQUEST", "title must not be empty")),
        ({"status": "completed"}, (400, "BAD_REQUEST", "Unknown field 'status'")),
    ],
)
async def test_an_appointment_that_cannot_be(api: Api, given: dict[str, Any], expected: tuple[int, str, str]) -> None:
    """T1, E5."""
    contact = await seeds.contact(api.runtime, api.viewer)

    async with api.unchanged():
        response = await api.post("/appointments", {"contactId": contact.id, **HOUR, **given})

    assert error(response) == expected


async def test_moving_an_appointment(api: Api) -> None:
    """T1: its end stays after its start, whichever of them is sent."""
    row = await seeds.appointment(
        api.runtime, api.viewer, start_time=seeds.at("2025-02-15T10:00:00Z"), end_time=seeds.at("2025-02-15T11:00:00Z")
    )

    async with api.unchanged():
        late = await api.patch(f"/appointments/{row.id}", {"startTime": "2025-02-15T11:00:00Z"})
        early = await api.patch(f"/appointments/{row.id}", {"endTime": "2025-02-15T09:00:00Z"})
        other = await api.patch(f"/appointments/{row.id}", {"contactId": UNKNOWN})
    moved = await api.patch(
        f"/appointments/{row.id}",
        {"startTime": "2025-02-16T10:00:00Z", "endTime": "2025-02-16T10:30:00Z", "notes": "N"},
    )

    assert error(late) == error(early) == (400, "BAD_REQUEST", "endTime must be after startTime")
    assert error(other) == (400, "BAD_REQUEST", "Unknown field 'contactId'")
    assert (moved.json()["startTime"], moved.json()["notes"]) == ("2025-02-16T10:00:00Z", "N")


async def test_filters(api: Api) -> None:
    """T1."""
    first = await seeds.appointment(api.runtime, api.viewer, start_time=seeds.at("2025-02-01T10:00:00Z"))
    second = await seeds.appointment(api.runtime, api.viewer, start_time=seeds.at("2025-02-02T10:00:00Z"))
    await api.patch(f"/appointments/{second.id}", {"status": "no-show"})

    async def found(query: str) -> list[str]:
        return [each["id"] for each in (await api.get(f"/appointments?{query}")).json()]

    assert await found("") == [first.id, second.id]
    assert await found("status=no-show") == [second.id]
    assert await found(f"contactId={first.contact_id}") == [first.id]
    assert await found(f"contactId={UNKNOWN}") == []
    assert await found("from=2025-02-02") == [second.id]
    assert await found("to=2025-02-01") == [first.id]
    assert await found("from=2025-02-01T10:00:00Z&to=2025-02-01T10:00:00Z") == [first.id]


async def test_the_fields_of_a_contact(api: Api) -> None:
    given: dict[str, Any] = {
        "phoneNumber": "+15551234567",
        "name": "Ann",
        "email": "ann@example.com",
        "timezone": "Europe/Berlin",
        "notes": "Likes tea",
        "customFields": {"company": "Acme", "age": 40, "vip": True, "score": 1.5, "none": None},
    }

    contact = (await api.post("/contacts", given)).json()

    assert list(contact) == ["id", *given, "createdAt", "updatedAt"]
    assert {name: contact[name] for name in given} == given
    assert (await api.get("/contacts", params={"phoneNumber": "+15551234567"})).json() == [contact]


async def test_a_deleted_contact_keeps_its_appointments(api: Api) -> None:
    row = await seeds.appointment(api.runtime, api.viewer)

    assert (await api.delete(f"/contacts/{row.contact_id}")).status_code == 204

    assert (await api.get(f"/appointments/{row.id}")).json()["contactId"] == row.contact_id
    again = await api.post("/appointments", {"contactId": row.contact_id, **HOUR})
    assert error(again)[:2] == (404, "NOT_FOUND")


async def test_phone_numbers_are_shown(api: Api) -> None:
    row = await seeds.phone_number(api.runtime, api.viewer)

    (listed,) = (await api.get("/phone-numbers")).json()

    assert listed == {
        "id": row.id,
        "phoneNumber": row.phone_number,
        "name": "Sales",
        "carrier": "sandbox",
        "isActive": True,
        "createdAt": "2025-01-15T14:00:00Z",
        "updatedAt": "2025-01-15T14:00:00Z",
    }
    assert (await api.get(f"/phone-numbers/{row.id}")).json() == listed
