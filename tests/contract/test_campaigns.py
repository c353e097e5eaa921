"""Decisions P1 to P4, as far as no dialing is needed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from schema.rules.campaigns import CampaignStatus
from schema.tables import Call, Campaign
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, error
from tests.support.runtime import on_both

pytestmark = on_both


async def create(api: Api, **given: Any) -> httpx.Response:
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    return await api.post("/campaigns", {"name": "C", "agentId": agent.id, "phoneNumberId": number.id, **given})


async def test_the_fields_and_defaults_of_a_campaign(api: Api) -> None:
    """P1, P4, P5."""
    created = await create(api)

    campaign = created.json()
    assert list(campaign.items()) == [
        ("id", campaign["id"]),
        ("name", "C"),
        ("status", "active"),
        ("agentId", campaign["agentId"]),
        ("phoneNumberId", campaign["phoneNumberId"]),
        ("scheduledStart", "2025-01-15T14:00:00Z"),
        ("timezone", "UTC"),
        ("callWindow", None),
        ("callDays", None),
        ("contactWindow", None),
        ("maxConcurrentCalls", 1),
        ("retryPolicy", {"maxAttempts": 1, "delayMinutes": [], "on": ["busy", "no-answer", "voicemail"]}),
        ("callsTotal", 0),
        ("callsCompleted", 0),
        ("callsInProgress", 0),
        ("nextDialAt", None),
        ("createdAt", "2025-01-15T14:00:00Z"),
        ("updatedAt", "2025-01-15T14:00:00Z"),
    ]


async def test_a_list_has_the_documents_six_fields(api: Api) -> None:
    """R2."""
    await seeds.campaign(api.runtime, api.viewer)

    (campaign,) = (await api.get("/campaigns")).json()

    assert list(campaign) == ["id", "name", "status", "callsTotal", "callsCompleted", "createdAt"]


@pytest.mark.parametrize(
    ("given", "next_dial_at"),
    [
        ({}, None),
        ({"scheduledStart": "2025-01-15T14:00:01Z"}, "2025-01-15T14:00:01Z"),
        ({"scheduledStart": "2024-01-01T00:00:00Z"}, None),
        ({"callWindow": {"start": "09:00", "end": "17:00"}}, None),
        ({"callWindow": {"start": "09:00", "end": "14:00"}}, "2025-01-16T09:00:00Z"),
        ({"callWindow": {"start": "22:00", "end": "14:01"}}, None),
        ({"callWindow": {"start": "09:00", "end": "17:00"}, "timezone": "America/Los_Angeles"}, "2025-01-15T17:00:00Z"),
        (
            {"callWindow": {"start": "09:00", "end": "17:00"}, "scheduledStart": "2025-02-01T20:00:00Z"},
            "2025-02-02T09:00:00Z",
        ),
    ],
)
async def test_a_campaign_that_waits_is_active_and_says_until_when(
    api: Api, given: dict[str, Any], next_dial_at: str | None
) -> None:
    """P1, P4."""
    campaign = (await create(api, **given)).json()

    assert (campaign["status"], campaign["nextDialAt"]) == ("active", next_dial_at)


MOVES = {
    "active": {"active", "paused", "completed", "cancelled"},
    "paused": {"active", "paused", "completed", "cancelled"},
    "completed": {"completed"},
    "cancelled": {"cancelled"},
}


@pytest.mark.parametrize("old", MOVES)
async def test_moves_of_a_campaign(api: Api, old: str) -> None:
    """P2: completed and cancelled are final; the status it already has is no error."""
    row = await seeds.campaign(api.runtime, api.viewer)

    for new in MOVES:
        await api.set(Campaign, row.id, status=CampaignStatus(old))
        response = await api.patch(f"/campaigns/{row.id}", {"status": new})
        kept = (await api.get(f"/campaigns/{row.id}")).json()["status"]
        if new in MOVES[old]:
            assert (response.status_code, response.json()["status"], kept) == (200, new, new)
        else:
            message = f"Campaign cannot go from {old} to {new}: {old} is final"
            assert (error(response), kept) == ((400, "BAD_REQUEST", message), old)


async def test_cancelling_drops_what_is_queued(api: Api) -> None:
    """P2."""
    campaign = await seeds.campaign(api.runtime, api.viewer)
    row = await seeds.call(api.runtime, api.viewer, campaign_id=campaign.id)
    free = await seeds.call(api.runtime, api.viewer)

    await api.patch(f"/campaigns/{campaign.id}", {"status": "cancelled"})

    dropped = (await api.get(f"/calls/{row.id}")).json()
    assert (dropped["status"], dropped["endReason"]) == ("failed", "campaign-cancelled")
    assert (await api.get(f"/calls/{free.id}")).json()["status"] == "queued"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone must be an IANA time zone such as America/New_York"),
        ({"callWindow": {"start": "09:00", "end": "09:00"}}, "callWindow.start and callWindow.end must differ"),
        ({"callWindow": {"start": "09:00"}}, "callWindow.end is required"),
        ({"callWindow": {"start": "09:00", "end": "17:00", "days": []}}, "Unknown field 'callWindow.days'"),
        ({"callWindow": "09:00-17:00"}, "callWindow must be an object"),
        ({"maxConcurrentCalls": 0}, "maxConcurrentCalls must be between 1 and 1000"),
        ({"maxConcurrentCalls": 1001}, "maxConcurrentCalls must be between 1 and 1000"),
        ({"retryPolicy": {}}, "retryPolicy.maxAttempts is required"),
        ({"retryPolicy": {"maxAttempts": 6}}, "retryPolicy.maxAttempts must be between 1 and 5"),
        ({"name": ""}, "name must not be empty"),
        ({"status": "paused"}, "Unknown field 'status'"),
        ({"contactIds": "x"}, "contactIds must be a list"),
    ],
)
async def test_a_campaign_that_cannot_be(api: Api, given: dict[str, Any], message: str) -> None:
    """P1, P4, P5."""
    assert error(await create(api, **given)) == (400, "BAD_REQUEST", message)
    assert (await api.get("/campaigns")).json() == []


async def test_times_of_a_window_are_hours_and_minutes(api: Api) -> None:
    """P4."""
    for start in ("9:00", "24:00", "09:60", "09:00:00", "nine", ""):
        response = await create(api, callWindow={"start": start, "end": "17:00"})
        assert error(response)[:2] == (400, "BAD_REQUEST")
        assert error(response)[2].startswith("callWindow.start must be ")


async def test_what_can_be_edited(api: Api) -> None:
    """P6, and nothing of it once the campaign is over."""
    row = await seeds.campaign(api.runtime, api.viewer)
    changes = {
        "name": "Summer",
        "timezone": "Europe/Berlin",
        "callWindow": {"start": "08:00", "end": "20:00"},
        "maxConcurrentCalls": 1000,
        "retryPolicy": {"maxAttempts": 3, "delayMinutes": [5, 30], "on": ["busy"]},
    }

    changed = (await api.patch(f"/campaigns/{row.id}", changes)).json()
    cleared = (await api.patch(f"/campaigns/{row.id}", {"callWindow": None})).json()
    await api.patch(f"/campaigns/{row.id}", {"status": "completed"})
    refused = await api.patch(f"/campaigns/{row.id}", {"name": "Autumn"})

    assert {name: changed[name] for name in changes} == changes
    assert cleared["callWindow"] is None
    assert error(refused) == (400, "BAD_REQUEST", "A completed campaign cannot be changed")
    assert (await api.get(f"/campaigns/{row.id}")).json()["name"] == "Summer"


# --- P3: contacts ---


async def test_contacts_come_with_the_campaign(api: Api) -> None:
    """P3: and count once."""
    ids = await seeds.contact_list(api.runtime, api.viewer, 2)

    campaign = (await create(api, contactIds=[ids[0], ids[1], ids[0]])).json()

    listed = await api.get(f"/campaigns/{campaign['id']}/contacts")
    assert (campaign["callsTotal"], campaign["callsCompleted"]) == (2, 0)
    assert listed.json() == [
        {
            "contactId": id,
            "status": "pending",
            "attempts": 0,
            "nextAttemptAt": None,
            "waitingFor": None,
            "endReason": None,
            "finishedAt": None,
            "createdAt": "2025-01-15T14:00:00Z",
        }
        for id in ids
    ]
    assert listed.headers["x-total-count"] == "2"


async def test_contacts_by_how_far_they_are(api: Api) -> None:
    people = [await seeds.contact(api.runtime, api.viewer) for _ in range(2)]
    row = await seeds.campaign(api.runtime, api.viewer, contact_ids=[person.id for person in people])
    path = f"/campaigns/{row.id}/contacts"

    pending = await api.get(path, params={"status": "pending"})
    busy = await api.get(path, params={"status": "pending", "endReason": "busy"})
    wrong = await api.get(path, params={"status": "PENDING"})

    assert [each["contactId"] for each in pending.json()] == [person.id for person in people]
    assert pending.headers["x-total-count"] == "2"
    assert (busy.json(), busy.headers["x-total-count"]) == ([], "0")
    assert error(wrong) == (400, "BAD_REQUEST", "status must be one of: pending, calling, waiting, finished")


async def test_contacts_come_later_by_id_or_number(api: Api) -> None:
    """P3: duplicates are ignored and counted."""
    row = await seeds.campaign(api.runtime, api.viewer)
    known = await seeds.contact(api.runtime, api.viewer, phone_number="+15551234567")

    by_id = await api.post(f"/campaigns/{row.id}/contacts", {"contactIds": [known.id]})
    by_number = await api.post(
        f"/campaigns/{row.id}/contacts",
        {
            "contacts": [
                {"phoneNumber": "+15551234567", "name": "Known already"},
                {"phoneNumber": "+15557654321", "name": "Ann", "customFields": {"company": "Acme"}},
                {"phoneNumber": "+15557654321"},
            ]
        },
    )

    assert (by_id.status_code, by_id.json()) == (200, {"enrolled": 1, "duplicates": 0, "callsTotal": 1})
    assert (by_number.status_code, by_number.json()) == (200, {"enrolled": 1, "duplicates": 2, "callsTotal": 2})
    (made,) = (await api.get("/contacts", params={"phoneNumber": "+15557654321"})).json()
    assert (made["name"], made["customFields"]) == ("Ann", {"company": "Acme"})
    assert (await api.get(f"/contacts/{known.id}")).json()["name"] is None
    assert [each["contactId"] for each in (await api.get(f"/campaigns/{row.id}/contacts")).json()] == [
        known.id,
        made["id"],
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "BAD_REQUEST", "contactIds, contacts or all is required")),
        ({"contactIds": []}, (400, "BAD_REQUEST", "contactIds, contacts or all is required")),
        ({"contactIds": None}, (400, "BAD_REQUEST", "contactIds cannot be null")),
        ({"contactIds": [UNKNOWN]}, (404, "NOT_FOUND", f"Contact with id {UNKNOWN} not found")),
        ({"contacts": [{}]}, (400, "BAD_REQUEST", "contacts[0].phoneNumber is required")),
        (
            {"contacts": [{"phoneNumber": "+15551234567", "age": 5}]},
            (400, "BAD_REQUEST", "Unknown field 'contacts[0].age'"),
        ),
        (
            {"contactIds": [UNKNOWN] * 10_001},
            (400, "BAD_REQUEST", "At most 10,000 contacts can be enrolled in one request"),
        ),
    ],
)
async def test_contacts_that_cannot_be_enrolled(api: Api, body: dict[str, Any], expected: tuple[int, str, str]) -> None:
    """P3: one bad contact and none is enrolled."""
    row = await seeds.campaign(api.runtime, api.viewer)

    async with api.unchanged():
        response = await api.post(f"/campaigns/{row.id}/contacts", body)

    assert error(response) == expected


async def test_one_bad_number_among_good_ones(api: Api) -> None:
    """P3."""
    row = await seeds.campaign(api.runtime, api.viewer)
    body = {"contacts": [{"phoneNumber": "+15551234567"}, {"phoneNumber": "12"}]}

    async with api.unchanged():
        response = await api.post(f"/campaigns/{row.id}/contacts", body)

    assert error(response)[:2] == (400, "BAD_REQUEST")
    assert error(response)[2].startswith("contacts[1]: phoneNumber ")


@pytest.mark.parametrize("status", [CampaignStatus.COMPLETED, CampaignStatus.CANCELLED])
async def test_a_campaign_that_is_over_takes_no_contacts(api: Api, status: CampaignStatus) -> None:
    """P3."""
    row = await seeds.campaign(api.runtime, api.viewer)
    await api.set(Campaign, row.id, status=status)

    async with api.unchanged():
        response = await api.post(f"/campaigns/{row.id}/contacts", {"contacts": [{"phoneNumber": "+15551234567"}]})

    assert error(response) == (400, "BAD_REQUEST", f"A {status.value} campaign takes no contacts")


async def test_calls_of_a_campaign_are_found_by_it(api: Api) -> None:
    campaign = await seeds.campaign(api.runtime, api.viewer)
    row = await seeds.call(api.runtime, api.viewer)
    await api.set(Call, row.id, campaign_id=campaign.id)

    listed = (await api.get(f"/calls?campaignId={campaign.id}")).json()

    assert [call["id"] for call in listed["calls"]] == [row.id]
    assert (await api.get(f"/calls/{row.id}")).json()["campaignId"] == campaign.id
