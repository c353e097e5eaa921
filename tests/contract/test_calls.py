"""Decisions L1, L2, L3 and L5, as far as no worker is needed: a call's rows are made by the verbs that workers use."""

from __future__ import annotations

import pytest

from schema.rules.calls import EndReason
from schema.services import endings, recordings
from schema.tables import Call
from tests.support import seeds
from tests.support.api import Api, error
from tests.support.runtime import on_both

pytestmark = on_both

FIELDS = [
    "id",
    "status",
    "direction",
    "to",
    "duration",
    "summary",
    "sentiment",
    "recordingUrl",
    "createdAt",
    "from",
    "agentId",
    "campaignId",
    "contactId",
    "phoneNumberId",
    "startedAt",
    "answeredAt",
    "endedAt",
    "outcome",
    "endReason",
    "waitingFor",
    "sipCode",
    "transcript",
    "analysis",
    "updatedAt",
]


async def test_a_queued_call(api: Api) -> None:
    """L1, L2: everything that is not known yet is null, `duration` too."""
    row = await seeds.call(api.runtime, api.viewer, to="+15551234567")

    call = (await api.get(f"/calls/{row.id}")).json()

    known = {
        "id": row.id,
        "status": "queued",
        "direction": "outbound",
        "to": "+15551234567",
        "from": row.from_number,
        "agentId": row.agent_id,
        "phoneNumberId": row.phone_number_id,
        "createdAt": "2025-01-15T14:00:00Z",
        "updatedAt": "2025-01-15T14:00:00Z",
    }
    assert list(call) == FIELDS
    assert call == dict.fromkeys(FIELDS) | known


async def test_a_call_through_its_life(api: Api) -> None:
    """L1, L2, L3."""
    row = await seeds.call(api.runtime, api.viewer)
    seen = []

    async def look() -> None:
        call = (await api.get(f"/calls/{row.id}")).json()
        seen.append((call["status"], call["duration"], call["startedAt"], call["answeredAt"], call["endedAt"]))

    await look()
    await api.clock.advance(1)
    await seeds.done(api.runtime, api.viewer, row)
    await look()

    call = (await api.get(f"/calls/{row.id}")).json()
    at = "2025-01-15T14:00:01Z"
    assert seen == [("queued", None, None, None, None), ("completed", 183, at, at, at)]
    assert call["summary"] == "Wants a demo."
    assert (call["sentiment"], call["outcome"], call["endReason"]) == ("positive", "interested", "callee-hangup")
    assert call["analysis"] == {
        "summary": "Wants a demo.",
        "sentiment": "positive",
        "outcome": "interested",
        "actionItems": ["Send an invitation"],
        "extracted": {"company": "Acme"},
    }


async def test_a_call_under_way(api: Api) -> None:
    """L1: `in-progress` from when the carrier has it."""
    row = await seeds.call(api.runtime, api.viewer)

    await seeds.submitted(api.runtime, api.viewer, row)

    assert (await api.get(f"/calls/{row.id}")).json()["status"] == "in-progress"
    assert (await api.get("/calls?status=in-progress")).json()["total"] == 1


async def test_a_call_that_did_not_connect(api: Api) -> None:
    """L1, L2: failed, and its duration is 0."""
    row = await seeds.call(api.runtime, api.viewer)
    held = await seeds.submitted(api.runtime, api.viewer, row)

    async with api.runtime.transaction(api.viewer) as tx:
        await endings.ended(tx, held, reason=EndReason.BUSY, ended_at=tx.now, duration_s=0, sip_code=486)

    call = (await api.get(f"/calls/{row.id}")).json()
    assert (call["status"], call["duration"], call["endReason"], call["sipCode"]) == ("failed", 0, "busy", 486)
    assert (call["transcript"], call["analysis"], call["recordingUrl"]) == (None, None, None)


async def test_a_transcript(api: Api) -> None:
    """L2."""
    row = await seeds.call(api.runtime, api.viewer)
    lines = [
        {"role": "agent", "text": "Hello.", "start": 0.0, "end": 0.8},
        {"role": "callee", "text": "Stop calling me.", "start": 1.25, "end": 2.5},
        {"role": "tool", "text": "do_not_call", "start": 2.5, "end": 2.5},
    ]
    await api.set(Call, row.id, transcript=lines)

    assert (await api.get(f"/calls/{row.id}")).json()["transcript"] == lines


async def test_a_recording_plays(api: Api) -> None:
    """L3: absolute, unguessable, expiring."""
    row = await seeds.call(api.runtime, api.viewer)
    await api.set(Call, row.id, recording=f"{row.id}.mp3")
    (recordings.directory(api.runtime.settings) / f"{row.id}.mp3").write_bytes(b"ID3 sound")

    url = (await api.get(f"/calls/{row.id}")).json()["recordingUrl"]
    played = await api.http.get(url, headers={"Authorization": ""})

    assert url.startswith("http://127.0.0.1:8000/recordings/")
    assert (played.status_code, played.content, played.headers["content-type"]) == (200, b"ID3 sound", "audio/mpeg")
    assert (await api.get("/calls")).json()["calls"][0]["recordingUrl"] == url


async def test_a_contact_is_recognised_by_its_number(api: Api) -> None:
    """L1: `contactId`."""
    contact = await seeds.contact(api.runtime, api.viewer, phone_number="+15551234567")

    row = await seeds.call(api.runtime, api.viewer, to="+15551234567")

    assert (await api.get(f"/calls/{row.id}")).json()["contactId"] == contact.id


async def test_numbers_that_may_not_be_called(api: Api) -> None:
    """L5."""
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    entry = (await api.post("/do-not-call", {"phoneNumber": "+15551234567", "reason": "Asked"})).json()
    body = {"agentId": agent.id, "phoneNumberId": number.id, "to": "+15551234567"}

    async with api.unchanged():
        refused = await api.post("/calls", body)
        again = await api.post("/do-not-call", {"phoneNumber": "+15551234567", "reason": "Other"})

    assert error(refused) == (400, "BAD_REQUEST", "+15551234567 is on the do-not-call list")
    assert (again.status_code, again.json()) == (201, entry)
    assert entry == {
        "id": entry["id"],
        "phoneNumber": "+15551234567",
        "reason": "Asked",
        "source": "api",
        "callId": None,
        "createdAt": "2025-01-15T14:00:00Z",
    }
    assert (await api.get("/do-not-call")).json() == [entry]
    await api.delete(f"/do-not-call/{entry['id']}")
    assert (await api.post("/calls", body)).status_code == 201


@pytest.mark.parametrize("content", [b"", b"{}"])
async def test_hanging_up(api: Api, content: bytes) -> None:
    """A call that waits ends now, one under way is marked, one that is over stays; no body is needed."""
    waiting = await seeds.call(api.runtime, api.viewer)
    under_way = await seeds.call(api.runtime, api.viewer)
    held = await seeds.answered(api.runtime, api.viewer, under_way)
    headers = {"Content-Type": "application/json"} if content else {}

    async def hang_up(id: str) -> dict[str, object]:
        response = await api.http.post(f"/api/v1/calls/{id}/hangup", content=content, headers=headers)
        assert response.status_code == 200
        assert response.json() == (await api.get(f"/calls/{id}")).json()
        return dict(response.json())

    cancelled = await hang_up(waiting.id)
    marked = await hang_up(under_way.id)
    again = await hang_up(waiting.id)

    assert (cancelled["status"], cancelled["endReason"]) == ("failed", "cancelled")
    assert marked["status"] == "in-progress"
    assert (await api.set(Call, under_way.id)).hangup_requested
    assert again == cancelled
    assert held.id == under_way.id
