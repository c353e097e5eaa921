"""Every example of `rest-api.md`, replayed to the letter, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from schema.rules.calls import CallPhase, CallStatus, Sentiment
from schema.rules.campaigns import CampaignStatus
from schema.runtime import Runtime
from schema.tables import Agent, Call, Campaign
from tests.support import seeds
from tests.support.api import Api, client, error
from tests.support.runtime import on_both

pytestmark = on_both

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
A_CALL = datetime(2025, 1, 15, 14, 23, tzinfo=UTC)


async def test_make_your_first_request(api: Api) -> None:
    """*Getting Started*: the `curl` line, which sends no more than one header."""
    async with client(api.app) as curl:
        response = await curl.get("/api/v1/agents", headers={"Authorization": f"Bearer {api.key}"})

    assert (response.status_code, response.json()) == (200, [])


async def test_list_agents(api: Api) -> None:
    row = await seeds.agent(
        api.runtime,
        api.viewer,
        name="Sales Rep - Sarah",
        first_message="Hi, this is Sarah calling from Acme...",
    )
    await api.set(Agent, row.id, created_at=NEW_YEAR)

    response = await api.get("/agents")

    assert response.status_code == 200
    assert response.text == (
        f'[{{"id":"{row.id}","name":"Sales Rep - Sarah","isActive":true,"voice":"jennifer",'
        '"firstMessage":"Hi, this is Sarah calling from Acme...","createdAt":"2025-01-01T00:00:00Z"}]'
    )


NEW_AGENT = {
    "name": "Support Agent",
    "systemPrompt": "You are a helpful support agent for Acme Corp...",
    "firstMessage": "Hi, this is Acme support. How can I help you today?",
    "voice": "jennifer",
    "language": "en-US",
    "maxCallDuration": 600,
}


async def test_create_an_agent(api: Api) -> None:
    response = await api.post("/agents", NEW_AGENT)

    agent = response.json()
    assert response.status_code == 201
    assert {name: agent[name] for name in NEW_AGENT} == NEW_AGENT
    assert (await api.get(f"/agents/{agent['id']}")).json() == agent


async def test_update_an_agent(api: Api) -> None:
    agent = (await api.post("/agents", NEW_AGENT)).json()
    await api.clock.advance(60)

    response = await api.patch(f"/agents/{agent['id']}", {"name": "New Name", "isActive": False})

    assert response.status_code == 200
    assert response.json() == agent | {"name": "New Name", "isActive": False, "updatedAt": "2025-01-15T14:01:00Z"}


async def test_delete_an_agent(api: Api) -> None:
    agent = (await api.post("/agents", NEW_AGENT)).json()

    response = await api.delete(f"/agents/{agent['id']}")

    assert (response.status_code, response.content) == (204, b"")
    assert (await api.get(f"/agents/{agent['id']}")).status_code == 404


async def test_list_campaigns(api: Api) -> None:
    row = await seeds.campaign(api.runtime, api.viewer, name="Q1 Outreach")
    await api.set(Campaign, row.id, created_at=NEW_YEAR, calls_total=500, calls_completed=230)

    response = await api.get("/campaigns")

    assert response.status_code == 200
    assert response.text == (
        f'[{{"id":"{row.id}","name":"Q1 Outreach","status":"active","callsTotal":500,"callsCompleted":230,'
        '"createdAt":"2025-01-01T00:00:00Z"}]'
    )


async def test_create_a_campaign(api: Api) -> None:
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    body = {
        "name": "February Outreach",
        "agentId": agent.id,
        "phoneNumberId": number.id,
        "scheduledStart": "2025-02-01T09:00:00Z",
        "timezone": "America/New_York",
        "callWindow": {"start": "09:00", "end": "17:00"},
        "maxConcurrentCalls": 3,
    }

    response = await api.post("/campaigns", body)

    campaign = response.json()
    assert response.status_code == 201
    assert {name: campaign[name] for name in body} == body
    assert (await api.get(f"/campaigns/{campaign['id']}")).json() == campaign


@pytest.mark.parametrize("status", ["active", "paused", "completed", "cancelled"])
async def test_pause_resume_cancel(api: Api, status: str) -> None:
    row = await seeds.campaign(api.runtime, api.viewer)

    response = await api.patch(f"/campaigns/{row.id}", {"status": status})

    assert (response.status_code, response.json()["status"]) == (200, status)
    assert (await api.get(f"/campaigns/{row.id}")).json()["status"] == status


async def the_documents_call(api: Api) -> Call:
    row = await seeds.call(api.runtime, api.viewer, to="+15551234567")
    return await api.set(
        Call,
        row.id,
        status=CallStatus.COMPLETED,
        phase=CallPhase.DONE,
        due_at=None,
        duration=183,
        summary="Prospect interested in a demo next week.",
        sentiment=Sentiment.POSITIVE,
        recording=f"{row.id}.mp3",
        created_at=A_CALL,
    )


async def older_calls(runtime: Runtime, like: Call, many: int) -> None:
    async with runtime.transaction(None) as tx:
        copies = [like.model_dump() | {"id": f"c{index:024}", "created_at": NEW_YEAR} for index in range(many)]
        await tx.execute(insert(Call), copies)


async def test_list_calls(api: Api) -> None:
    row = await the_documents_call(api)
    await older_calls(api.runtime, row, 1522)

    response = await api.get("/calls")

    page = response.json()
    url = page["calls"][0].pop("recordingUrl")
    assert response.status_code == 200
    assert list(page) == ["calls", "total", "limit", "offset"]
    assert (len(page["calls"]), page["total"], page["limit"], page["offset"]) == (50, 1523, 50, 0)
    assert page["calls"][0] == {
        "id": row.id,
        "status": "completed",
        "direction": "outbound",
        "to": "+15551234567",
        "duration": 183,
        "summary": "Prospect interested in a demo next week.",
        "sentiment": "positive",
        "createdAt": "2025-01-15T14:23:00Z",
    }
    assert url.startswith(f"http://127.0.0.1:8000/recordings/{row.id}.mp3?")
    assert list((await api.get("/calls")).json()["calls"][0]) == [
        "id",
        "status",
        "direction",
        "to",
        "duration",
        "summary",
        "sentiment",
        "recordingUrl",
        "createdAt",
    ]


async def test_the_filters_of_calls(api: Api) -> None:
    row = await the_documents_call(api)
    campaign = await seeds.campaign(api.runtime, api.viewer)
    await api.set(Call, row.id, campaign_id=campaign.id)
    queued = await seeds.call(api.runtime, api.viewer)

    async def found(**query: Any) -> list[str]:
        response = await api.get("/calls", params=query)
        assert response.status_code == 200, response.text
        return [call["id"] for call in response.json()["calls"]]

    assert await found() == [row.id, queued.id]
    assert await found(limit=1) == [row.id]
    assert await found(offset=1) == [queued.id]
    assert await found(status="queued") == [queued.id]
    assert await found(status="completed") == [row.id]
    assert await found(status="in-progress") == []
    assert await found(status="failed") == []
    assert await found(agentId=row.agent_id) == [row.id]
    assert await found(campaignId=campaign.id) == [row.id]
    assert await found(**{"from": "2025-01-15T14:23:00Z"}) == [row.id]
    assert await found(to="2025-01-15T14:22:59Z") == [queued.id]
    assert await found(**{"from": "2025-01-15", "to": "2025-01-15"}) == [row.id, queued.id]
    assert await found(to="2025-01-14") == []


async def test_trigger_a_call(api: Api) -> None:
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)

    response = await api.post("/calls", {"agentId": agent.id, "phoneNumberId": number.id, "to": "+15551234567"})

    call = response.json()
    assert response.status_code == 201
    assert (call["agentId"], call["phoneNumberId"], call["to"]) == (agent.id, number.id, "+15551234567")
    assert (call["status"], call["direction"]) == ("queued", "outbound")
    assert (await api.get(f"/calls/{call['id']}")).json() == call


async def test_get_a_call_with_its_transcript_and_analysis(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    await api.set(
        Call,
        row.id,
        transcript=[{"role": "agent", "text": "Hello.", "start": 0.0, "end": 0.8}],
        analysis={"summary": "S", "sentiment": "neutral", "outcome": "interested", "actionItems": [], "extracted": {}},
    )

    call = (await api.get(f"/calls/{row.id}")).json()

    assert call["transcript"] == [{"role": "agent", "text": "Hello.", "start": 0.0, "end": 0.8}]
    assert call["analysis"] == {
        "summary": "S",
        "sentiment": "neutral",
        "outcome": "interested",
        "actionItems": [],
        "extracted": {},
    }


async def test_appointments(api: Api) -> None:
    contact = await seeds.contact(api.runtime, api.viewer)
    body = {
        "contactId": contact.id,
        "startTime": "2025-02-15T10:00:00Z",
        "endTime": "2025-02-15T10:30:00Z",
        "title": "Product Demo",
        "notes": "Prospect is interested in the CRM integration",
    }

    created = await api.post("/appointments", body)
    appointment = created.json()
    listed = await api.get("/appointments?status=confirmed&from=2025-02-01&to=2025-02-28")
    got = await api.get(f"/appointments/{appointment['id']}")
    cancelled = await api.patch(f"/appointments/{appointment['id']}", {"status": "cancelled"})

    assert created.status_code == 201
    assert {name: appointment[name] for name in body} == body
    assert appointment["status"] == "confirmed"
    assert (listed.status_code, listed.json()) == (200, [appointment])
    assert (got.status_code, got.json()) == (200, appointment)
    assert (cancelled.status_code, cancelled.json()) == (200, appointment | {"status": "cancelled"})
    assert (await api.get("/appointments?status=confirmed&from=2025-02-01&to=2025-02-28")).json() == []


async def test_the_error_that_is_shown(api: Api) -> None:
    """*Error Handling*: even the id is the document's."""
    response = await api.get("/agents/clx...")

    assert error(response) == (404, "NOT_FOUND", "Agent with id clx... not found")


async def test_statuses_the_document_does_not_know(api: Api) -> None:
    """*Valid statuses*."""
    row = await seeds.campaign(api.runtime, api.viewer)

    response = await api.patch(f"/campaigns/{row.id}", {"status": "draft"})

    assert error(response) == (400, "BAD_REQUEST", "status must be one of: active, paused, completed, cancelled")
    assert (await api.get(f"/campaigns/{row.id}")).json()["status"] == CampaignStatus.ACTIVE.value
