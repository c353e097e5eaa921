"""Decisions A1 and A2."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import seeds
from tests.support.api import Api, error
from tests.support.runtime import on_both

pytestmark = on_both

FIELDS = [
    "id",
    "name",
    "isActive",
    "voice",
    "firstMessage",
    "systemPrompt",
    "language",
    "maxCallDuration",
    "voicemailMessage",
    "tools",
    "createdAt",
    "updatedAt",
]


async def test_the_fields_and_defaults_of_an_agent(api: Api) -> None:
    """A1."""
    created = await api.post("/agents", {"name": "Sam", "systemPrompt": "Be kind."})

    agent = created.json()
    assert list(agent) == FIELDS
    assert agent == {
        "id": agent["id"],
        "name": "Sam",
        "isActive": True,
        "voice": "jennifer",
        "firstMessage": None,
        "systemPrompt": "Be kind.",
        "language": "en-US",
        "maxCallDuration": 600,
        "voicemailMessage": None,
        "tools": ["book_appointment", "do_not_call", "end_call"],
        "createdAt": "2025-01-15T14:00:00Z",
        "updatedAt": "2025-01-15T14:00:00Z",
    }


async def test_every_field_can_be_sent_and_changed(api: Api) -> None:
    """A1."""
    first: dict[str, Any] = {
        "name": "Sam",
        "isActive": False,
        "voice": "alloy",
        "firstMessage": "Hi",
        "systemPrompt": "Be kind.",
        "language": "de",
        "maxCallDuration": 10,
        "voicemailMessage": "Call me back",
        "tools": [{"name": "transfer", "to": "+15551234567"}],
    }
    second: dict[str, Any] = {
        "name": "Max",
        "isActive": True,
        "voice": "nova",
        "firstMessage": None,
        "systemPrompt": "Be brief.",
        "language": "fr-CH",
        "maxCallDuration": 14400,
        "voicemailMessage": None,
        "tools": [],
    }

    agent = (await api.post("/agents", first)).json()
    changed = (await api.patch(f"/agents/{agent['id']}", second)).json()

    assert {name: agent[name] for name in first} == first
    assert {name: changed[name] for name in second} == second


async def test_a_list_has_the_documents_six_fields(api: Api) -> None:
    """R2."""
    await seeds.agent(api.runtime, api.viewer)

    (agent,) = (await api.get("/agents")).json()

    assert list(agent) == ["id", "name", "isActive", "voice", "firstMessage", "createdAt"]


async def test_calls_of_a_deleted_agent_stay_readable(api: Api) -> None:
    """A2."""
    row = await seeds.call(api.runtime, api.viewer)

    assert (await api.delete(f"/agents/{row.agent_id}")).status_code == 204

    assert (await api.get(f"/calls/{row.id}")).json()["agentId"] == row.agent_id
    assert (await api.get(f"/calls?agentId={row.agent_id}")).json()["total"] == 1
    assert (await api.get("/agents")).json() == []
    again = await api.post(
        "/calls", {"agentId": row.agent_id, "phoneNumberId": row.phone_number_id, "to": "+15551234567"}
    )
    assert error(again) == (404, "NOT_FOUND", f"Agent with id {row.agent_id} not found")


@pytest.mark.parametrize(
    ("status", "is_open"), [("active", True), ("paused", True), ("completed", False), ("cancelled", False)]
)
async def test_an_agent_that_an_open_campaign_uses_cannot_be_deleted(api: Api, status: str, is_open: bool) -> None:
    """A2."""
    campaign = await seeds.campaign(api.runtime, api.viewer)
    await api.patch(f"/campaigns/{campaign.id}", {"status": status})

    response = await api.delete(f"/agents/{campaign.agent_id}")

    if is_open:
        message = f"Agent with id {campaign.agent_id} is used by {status} campaign {campaign.id}"
        assert error(response) == (400, "BAD_REQUEST", message)
        assert (await api.get(f"/agents/{campaign.agent_id}")).status_code == 200
    else:
        assert response.status_code == 204


async def test_a_change_of_an_agent_reaches_no_call_of_the_past(api: Api) -> None:
    """A1: a call keeps its agent's id, nothing else of it."""
    row = await seeds.call(api.runtime, api.viewer)
    before = (await api.get(f"/calls/{row.id}")).json()

    await api.patch(f"/agents/{row.agent_id}", {"name": "Max", "isActive": False})

    assert (await api.get(f"/calls/{row.id}")).json() == before
