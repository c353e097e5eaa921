"""Contacts: a number stands once in a workspace."""

from __future__ import annotations

import math
from typing import Any

import pytest

from schema.errors import Invalid, NotFound
from schema.runtime import Runtime, Viewer
from schema.services import appointments, campaigns, contacts
from schema.tables import Contact
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

NUMBER = "+15551234567"
E164 = "phoneNumber must be a phone number in E.164 such as +15551234567: a plus sign, the country code and digits"
BEYOND = "customFields.a must be a finite number, and a whole one within 64 bits"
UNKNOWN = "c0000000000000000unknown0"


@on_both
async def test_a_new_contact_needs_a_number_and_nothing_else(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await act(contacts.create, {"phone_number": NUMBER})

    kept = await contacts.get(runtime.snapshot(viewer), row.id)
    now = runtime.clock.now()
    assert {name: getattr(kept, name) for name in Contact.model_fields} == {
        "id": row.id,
        "workspace_id": viewer.workspace_id,
        "phone_number": NUMBER,
        "name": None,
        "email": None,
        "timezone": None,
        "notes": None,
        "custom_fields": {},
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "phoneNumber is required"),
        ({"phone_number": None}, "phoneNumber cannot be null"),
        ({"phone_number": 15551234567}, "phoneNumber must be a string"),
        ({"phone_number": "+1 555 123 4567"}, E164),
        ({"email": "sam"}, "email must be an e-mail address"),
        ({"email": f"{'x' * 64}@{'y' * 190}.com"}, "email must be an e-mail address"),
        ({"timezone": "Mars/Olympus"}, "timezone must be an IANA time zone such as America/New_York"),
        ({"timezone": 1}, "timezone must be a string"),
        ({"notes": "x" * 5_001}, "notes must be between 0 and 5,000 characters"),
        ({"custom_fields": []}, "customFields must be an object"),
        ({"custom_fields": None}, "customFields cannot be null"),
        ({"custom_fields": {str(i): i for i in range(51)}}, "customFields must have at most 50 fields"),
        ({"custom_fields": {"": 1}}, "customFields names must not be empty"),
        ({"custom_fields": {"a": "x" * 1_001}}, "customFields.a must be between 0 and 1,000 characters"),
        ({"custom_fields": {"a": []}}, "customFields.a must be a string, a number, true, false or null"),
        ({"custom_fields": {"a": math.inf}}, BEYOND),
        ({"custom_fields": {"a": math.nan}}, BEYOND),
        ({"custom_fields": {"a": 2**63}}, BEYOND),
        ({"custom_fields": {"a": -(2**63) - 1}}, BEYOND),
    ],
)
async def test_what_breaks_a_rule_is_refused(act: Act, refused: Refused, given: dict[str, Any], message: str) -> None:
    """R9, E4."""
    async with refused(Invalid, message):
        await act(contacts.create, {"phone_number": NUMBER, **given} if given else given)


@on_both
async def test_custom_fields_come_back_as_they_went(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    fields = {"plan": "gold", "seats": 2**63 - 1, "score": 1e300, "vip": True, "left": None}

    row = await act(contacts.create, {"phone_number": NUMBER, "custom_fields": fields})

    assert (await contacts.get(runtime.snapshot(viewer), row.id)).custom_fields == fields


@on_both
async def test_a_number_stands_once(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await act(contacts.create, {"phone_number": NUMBER})
    other = await seeds.contact(runtime, viewer)
    message = f"A contact with phoneNumber {NUMBER} is there already: {row.id}"

    async with refused(Invalid, message):
        await act(contacts.create, {"phone_number": NUMBER})
    async with refused(Invalid, message):
        await act(contacts.update, other.id, {"phone_number": NUMBER, "name": "Kim"})


@on_both
async def test_a_number_may_stand_in_two_workspaces(runtime: Runtime, viewer: Viewer) -> None:
    other = await seeds.workspace(runtime, name="Other")

    await seeds.contact(runtime, viewer, phone_number=NUMBER)
    await seeds.contact(runtime, other, phone_number=NUMBER)

    for each in (viewer, other):
        assert (await contacts.list_page(runtime.snapshot(each))).total == 1


@on_both
async def test_a_deleted_contact_s_number_is_free(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await act(contacts.create, {"phone_number": NUMBER})
    await act(contacts.delete, row.id)

    again = await act(contacts.create, {"phone_number": NUMBER})

    found = await contacts.by_number(runtime.snapshot(viewer), NUMBER)
    assert found is not None
    assert found.id == again.id != row.id


async def test_a_contact_s_own_number_is_no_clash(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, unchanged: Unchanged
) -> None:
    row = await seeds.contact(runtime, viewer, phone_number=NUMBER)
    await clock.advance(1)

    async with unchanged():
        await act(contacts.update, row.id, {"phone_number": NUMBER})


async def test_absent_stays_and_null_clears(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """R6."""
    row = await seeds.contact(runtime, viewer, name="Kim", email="kim@example.com", custom_fields={"a": 1})

    await act(contacts.update, row.id, {"name": None, "custom_fields": {"b": 2}})

    kept = await contacts.get(runtime.snapshot(viewer), row.id)
    assert (kept.name, kept.email, kept.custom_fields) == (None, "kim@example.com", {"b": 2})


async def test_a_page_is_a_hundred_unless_told(runtime: Runtime, viewer: Viewer) -> None:
    """R2."""
    ids = await seeds.contact_list(runtime, viewer, 120)
    tx = runtime.snapshot(viewer)

    first = await contacts.list_page(tx)
    rest = await contacts.list_page(tx, offset=100)

    assert [row.id for row in first.nodes + rest.nodes] == ids[::-1]
    assert (len(first.nodes), first.total, first.limit) == (100, 120, 100)


async def test_a_contact_is_found_by_its_number(runtime: Runtime, viewer: Viewer, refused: Refused) -> None:
    row = await seeds.contact(runtime, viewer, phone_number=NUMBER)
    await seeds.contact(runtime, viewer)
    tx = runtime.snapshot(viewer)

    assert [found.id for found in (await contacts.list_page(tx, phone_number=NUMBER)).nodes] == [row.id]
    assert (await contacts.list_page(tx, phone_number="+15559999999")).total == 0
    async with refused(Invalid, E164):
        await contacts.list_page(tx, phone_number="5551234567")


async def test_what_refers_to_a_deleted_contact_stays_readable(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    row = await seeds.contact(runtime, viewer)
    meeting = await seeds.appointment(runtime, viewer, contact_id=row.id)
    campaign = await seeds.campaign(runtime, viewer, contact_ids=[row.id])

    await act(contacts.delete, row.id)

    tx = runtime.snapshot(viewer)
    assert (await appointments.get(tx, meeting.id)).contact_id == row.id
    assert [each.contact_id for each in (await campaigns.enrolled_page(tx, campaign.id)).nodes] == [row.id]
    async with refused(NotFound, f"Contact with id {row.id} not found"):
        await act(contacts.update, row.id, {"name": "Kim"})
    async with refused(NotFound, f"Contact with id {UNKNOWN} not found"):
        await act(contacts.delete, UNKNOWN)
