"""Decisions R4 and R6 to R9: what may be sent, and what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from schema.tables import Appointment, Contact
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, error
from tests.support.runtime import on_both

AGENT = {"name": "Sam", "systemPrompt": "Be kind."}
A_NUMBER = "+15551234567"


async def new_campaign(api: Api, **given: Any) -> httpx.Response:
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    return await api.post("/campaigns", {"name": "C", "agentId": agent.id, "phoneNumberId": number.id, **given})


# --- R4 ---


@on_both
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("2025-02-15T10:00:00Z", "2025-02-15T10:00:00Z"),
        ("2025-02-15T10:00:00+02:00", "2025-02-15T08:00:00Z"),
        ("2025-02-15T10:00:00.999Z", "2025-02-15T10:00:00Z"),
        ("20250215T1000-0500", "2025-02-15T15:00:00Z"),
    ],
)
async def test_instants_are_kept_in_utc_and_whole_seconds(api: Api, text: str, kept: str) -> None:
    """R4."""
    assert (await new_campaign(api, scheduledStart=text)).json()["scheduledStart"] == kept


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2025-02-15T10:00:00", "scheduledStart needs an offset or Z, such as 2025-02-15T10:00:00Z"),
        ("2025-02-15", "scheduledStart must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"),
        ("2025-02-30T10:00:00Z", "scheduledStart must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"),
        ("soon", "scheduledStart must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"),
        (1739613600, "scheduledStart must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"),
        (None, "scheduledStart cannot be null"),
    ],
)
async def test_an_instant_that_is_none(api: Api, text: object, message: str) -> None:
    """R4."""
    assert error(await new_campaign(api, scheduledStart=text)) == (400, "BAD_REQUEST", message)


@on_both
async def test_dates_bound_whole_days(api: Api) -> None:
    """R4: `from` the start of that UTC day, `to` its end, inclusive."""
    row = await seeds.appointment(api.runtime, api.viewer)
    for instant, found in (
        (datetime(2025, 2, 1, tzinfo=UTC), 1),
        (datetime(2025, 2, 28, 23, 59, 59, tzinfo=UTC), 1),
        (datetime(2025, 1, 31, 23, 59, 59, tzinfo=UTC), 0),
        (datetime(2025, 3, 1, tzinfo=UTC), 0),
    ):
        await api.set(Appointment, row.id, start_time=instant, end_time=instant + timedelta(hours=1))

        listed = await api.get("/appointments?from=2025-02-01&to=2025-02-28")

        assert len(listed.json()) == found, instant


# --- R6 ---


@on_both
async def test_a_patch_changes_what_is_sent(api: Api) -> None:
    """R6."""
    contact = await seeds.contact(api.runtime, api.viewer, name="Ann", notes="Old", email="ann@example.com")
    await api.clock.advance(5)

    patched = await api.patch(f"/contacts/{contact.id}", {"name": "Anna", "notes": None})

    assert patched.status_code == 200
    assert patched.json() == {
        "id": contact.id,
        "phoneNumber": contact.phone_number,
        "name": "Anna",
        "email": "ann@example.com",
        "timezone": None,
        "notes": None,
        "customFields": {},
        "createdAt": "2025-01-15T14:00:00Z",
        "updatedAt": "2025-01-15T14:00:05Z",
    }


@pytest.mark.parametrize("noun", ["agents", "campaigns", "appointments", "contacts", "webhooks"])
async def test_an_empty_patch_changes_nothing(api: Api, noun: str) -> None:
    """R6."""
    seed: Any = {
        "agents": seeds.agent,
        "campaigns": seeds.campaign,
        "appointments": seeds.appointment,
        "contacts": seeds.contact,
        "webhooks": seeds.endpoint,
    }
    row = await seed[noun](api.runtime, api.viewer)
    before = (await api.get(f"/{noun}/{row.id}")).json()
    await api.clock.advance(5)

    async with api.unchanged():
        patched = await api.patch(f"/{noun}/{row.id}", {})

    assert (patched.status_code, patched.json()) == (200, before)


@pytest.mark.parametrize(
    ("noun", "field"),
    [
        ("agents", "name"),
        ("agents", "voice"),
        ("agents", "maxCallDuration"),
        ("agents", "isActive"),
        ("agents", "tools"),
        ("campaigns", "status"),
        ("campaigns", "timezone"),
        ("campaigns", "maxConcurrentCalls"),
        ("campaigns", "retryPolicy"),
        ("appointments", "status"),
        ("appointments", "startTime"),
        ("contacts", "phoneNumber"),
        ("contacts", "customFields"),
        ("webhooks", "url"),
        ("webhooks", "events"),
    ],
)
async def test_null_for_what_cannot_be_null(api: Api, noun: str, field: str) -> None:
    """R6."""
    async with api.unchanged():
        response = await api.patch(f"/{noun}/{UNKNOWN}", {field: None})

    assert error(response) == (400, "BAD_REQUEST", f"{field} cannot be null")


@pytest.mark.parametrize("field", ["firstMessage", "voicemailMessage"])
async def test_null_clears_what_can_be_null(api: Api, field: str) -> None:
    """R6."""
    agent = (await api.post("/agents", {**AGENT, field: "Hello"})).json()

    patched = await api.patch(f"/agents/{agent['id']}", {field: None})

    assert (patched.status_code, patched.json()) == (200, agent | {field: None})


# --- R7 ---


@pytest.mark.parametrize("field", ["id", "createdAt", "updatedAt", "workspaceId", "color", "Name", "system_prompt"])
async def test_unknown_and_read_only_fields_are_named(api: Api, field: str) -> None:
    """R7."""
    row = await seeds.agent(api.runtime, api.viewer)

    async with api.unchanged():
        created = await api.post("/agents", {**AGENT, field: "x"})
        patched = await api.patch(f"/agents/{row.id}", {"name": "New", field: "x"})

    assert error(created) == (400, "BAD_REQUEST", f"Unknown field '{field}'")
    assert error(patched) == (400, "BAD_REQUEST", f"Unknown field '{field}'")


async def test_fields_of_a_call_that_only_reading_has(api: Api) -> None:
    """R7."""
    response = await api.post(
        "/calls", {"agentId": UNKNOWN, "phoneNumberId": UNKNOWN, "to": A_NUMBER, "status": "completed"}
    )

    assert error(response) == (400, "BAD_REQUEST", "Unknown field 'status'")


@pytest.mark.parametrize("noun", ["agents", "calls", "contacts", "phone-numbers"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit must be between 1 and 200"),
        ("limit=201", "limit must be between 1 and 200"),
        ("limit=-1", "limit must be between 1 and 200"),
        ("limit=ten", "limit must be a whole number"),
        ("limit=1.5", "limit must be a whole number"),
        ("limit=", "limit must be a whole number"),
        ("offset=-1", "offset must be 0 or more"),
        ("offset=x", "offset must be a whole number"),
    ],
)
async def test_bounds_of_pages(api: Api, noun: str, query: str, message: str) -> None:
    """R7."""
    assert error(await api.get(f"/{noun}?{query}")) == (400, "BAD_REQUEST", message)


@pytest.mark.parametrize("noun", ["calls", "appointments"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from=2025-02-02&to=2025-02-01", "from must not be after to"),
        ("from=yesterday", "from must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"),
        ("to=2025-02-30", "to must be a date such as 2025-02-15 or an instant such as 2025-02-15T10:00:00Z"),
        ("to=2025-02-01T10:00:00", "to needs an offset or Z, such as 2025-02-15T10:00:00Z"),
        ("from=", "from must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"),
    ],
)
async def test_bad_dates(api: Api, noun: str, query: str, message: str) -> None:
    """R7."""
    assert error(await api.get(f"/{noun}?{query}")) == (400, "BAD_REQUEST", message)


# --- R8 ---


async def test_enums_are_lower_case_with_hyphens(api: Api) -> None:
    """R8."""
    row = await seeds.campaign(api.runtime, api.viewer)

    async with api.unchanged():
        patched = await api.patch(f"/campaigns/{row.id}", {"status": "PAUSED"})
        listed = await api.get("/calls?status=IN_PROGRESS")

    assert error(patched) == (400, "BAD_REQUEST", "status must be one of: active, paused, completed, cancelled")
    assert error(listed) == (400, "BAD_REQUEST", "status must be one of: queued, in-progress, completed, failed")
    assert (await api.get("/calls?status=in-progress")).status_code == 200
    in_graphql = await api.graphql("query($id: ID!) { campaign(id: $id) { status } }", id=row.id)
    assert in_graphql == {"data": {"campaign": {"status": "ACTIVE"}}}


# --- R9 ---


@pytest.mark.parametrize("number", ["+15551234567", "+442079460123", "+4930123456", "+85221234567"])
async def test_numbers_that_are_possible(api: Api, number: str) -> None:
    """R9."""
    created = await api.post("/contacts", {"phoneNumber": number})

    assert (created.status_code, created.json()["phoneNumber"]) == (201, number)


@pytest.mark.parametrize(
    "number",
    [
        "15551234567",
        "+1 555 123 4567",
        "+1-555-123-4567",
        "tel:+15551234567",
        "+1555",
        "+19005551234",
        "",
        "x",
        "+0",
        5,
    ],
)
async def test_numbers_that_are_refused(api: Api, number: object) -> None:
    """R9."""
    async with api.unchanged():
        contact = await api.post("/contacts", {"phoneNumber": number})
        blocked = await api.post("/do-not-call", {"phoneNumber": number})
        call = await api.post("/calls", {"agentId": UNKNOWN, "phoneNumberId": UNKNOWN, "to": number})

    assert error(contact)[:2] == error(blocked)[:2] == error(call)[:2] == (400, "BAD_REQUEST")
    assert error(contact)[2].startswith("phoneNumber ")
    assert error(call)[2].startswith("to ")


@on_both
async def test_a_number_stands_once(api: Api) -> None:
    contact = await seeds.contact(api.runtime, api.viewer, phone_number=A_NUMBER)
    second = await seeds.contact(api.runtime, api.viewer)

    async with api.unchanged():
        created = await api.post("/contacts", {"phoneNumber": A_NUMBER})
        patched = await api.patch(f"/contacts/{second.id}", {"phoneNumber": A_NUMBER})

    message = f"A contact with phoneNumber {A_NUMBER} is there already: {contact.id}"
    assert error(created) == error(patched) == (400, "BAD_REQUEST", message)
    await api.set(Contact, contact.id, deleted_at=api.clock.now())
    assert (await api.post("/contacts", {"phoneNumber": A_NUMBER})).status_code == 201
