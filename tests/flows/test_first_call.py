"""A stranger with curl and the customer's document: an agent, a call, its transcript, and five webhooks, signed."""

from __future__ import annotations

import hashlib
import hmac
import io
from typing import Any

import httpx
import soundfile
import standardwebhooks
import svix

from tests.flows.receiver import Delivered, Receiver
from tests.flows.servers import caller, place, until_over


def is_valid_webhook(raw_body: bytes, signature: str, secret: str) -> bool:
    """The document's Python sample, word for word."""
    expected = hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()
    return f"sha256={expected}" == signature


def endpoint(client: httpx.Client, receiving: Receiver, path: str = "/", **more: Any) -> dict[str, Any]:
    answer = client.post("/webhooks", json={"url": receiving.url + path, **more})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_a_call_goes_from_queued_to_completed_and_everything_about_it_can_be_read(
    client: httpx.Client, receiving: Receiver
) -> None:
    hook = endpoint(client, receiving)
    ids = caller(client)

    id = place(client, ids, "+12025550100")
    first = client.get(f"/calls/{id}").json()
    call = until_over(client, [id])[id]

    assert first["status"] in {"queued", "in-progress"}
    assert (call["status"], call["direction"], call["to"]) == ("completed", "outbound", "+12025550100")
    assert call["outcome"] == "appointment-booked"
    assert call["answeredAt"] is not None
    assert call["startedAt"] <= call["answeredAt"] <= call["endedAt"]
    assert call["duration"] > 0
    assert call["transcript"][0] == {
        "role": "agent",
        "text": "Hi, this is Acme support. How can I help you today?",
        "start": call["transcript"][0]["start"],
        "end": call["transcript"][0]["end"],
    }
    assert {line["role"] for line in call["transcript"]} == {"agent", "callee", "tool"}
    assert set(call["analysis"]) == {"summary", "sentiment", "outcome", "actionItems", "extracted"}
    assert (call["summary"], call["sentiment"]) == (call["analysis"]["summary"], call["analysis"]["sentiment"])

    got = {one.json["event"]: one for one in receiving.wait_for(4)}
    assert set(got) == {"call.started", "call.ended", "transcript.ready", "analysis.complete"}
    facts = {"callId": id, "to": "+12025550100", "agentId": ids["agentId"], "campaignId": None}
    for event, delivered in got.items():
        body = delivered.json
        assert list(body) == ["event", "timestamp", "data"]
        assert facts.items() <= body["data"].items(), event
        check_signatures(delivered, hook["secret"])
    assert got["call.started"].json["data"]["status"] == "in-progress"
    assert got["call.ended"].json["data"] == {**facts, "status": "completed", "duration": call["duration"]}
    assert got["transcript.ready"].json["data"]["transcript"] == call["transcript"]
    assert got["analysis.complete"].json["data"]["analysis"] == call["analysis"]


def check_signatures(delivered: Delivered, secret: str) -> None:
    assert is_valid_webhook(delivered.body, delivered.headers["x-voxforge-signature"], secret)
    assert standardwebhooks.Webhook(secret).verify(delivered.body, delivered.headers) == delivered.json
    svix.Webhook(secret).verify(delivered.body, delivered.headers)  # raises for a signature that is not good


def test_a_call_that_does_not_connect_says_so_with_call_failed(client: httpx.Client, receiving: Receiver) -> None:
    endpoint(client, receiving)
    ids = caller(client)

    id = place(client, ids, "+12025550140")
    call = until_over(client, [id])[id]

    assert (call["status"], call["endReason"], call["sipCode"]) == ("failed", "busy", 486)
    assert (call["duration"], call["transcript"], call["analysis"], call["recordingUrl"]) == (0, None, None, None)
    got = [one.json for one in receiving.wait_for(2)]
    assert sorted(one["event"] for one in got) == ["call.failed", "call.started"]
    failed = next(one for one in got if one["event"] == "call.failed")
    assert failed["data"] == {
        "callId": id,
        "status": "failed",
        "duration": 0,
        "to": "+12025550140",
        "agentId": ids["agentId"],
        "campaignId": None,
        "endReason": "busy",
    }


def test_the_recording_plays_and_its_link_cannot_be_guessed(client: httpx.Client) -> None:
    id = place(client, caller(client), "+12025550101")

    call = until_over(client, [id])[id]
    answer = httpx.get(call["recordingUrl"])
    forged = httpx.get(call["recordingUrl"][:-1] + ("0" if call["recordingUrl"][-1] != "0" else "1"))
    part = httpx.get(call["recordingUrl"], headers={"Range": "bytes=0-99"})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("audio/")
    audio, rate = soundfile.read(io.BytesIO(answer.content))
    assert audio.shape[1] == 2
    assert abs(len(audio) / rate - call["duration"]) < 2
    assert forged.status_code == 404
    assert (part.status_code, len(part.content)) == (206, 100)


def test_an_appointment_agreed_in_a_call_is_a_real_one(client: httpx.Client) -> None:
    id = place(client, caller(client), "+13035550100")

    until_over(client, [id])

    contact = client.get("/contacts", params={"phoneNumber": "+13035550100"}).json()
    [appointment] = client.get("/appointments", params={"contactId": contact[0]["id"]}).json()
    detail = client.get(f"/appointments/{appointment['id']}").json()
    assert (detail["status"], detail["callId"]) == ("confirmed", id)
    assert detail["startTime"] < detail["endTime"]


def test_a_callee_who_asks_not_to_be_called_again_is_not(client: httpx.Client) -> None:
    """Decision L5."""
    ids = caller(client)
    id = place(client, ids, "+12025550102")

    call = until_over(client, [id])[id]
    again = client.post("/calls", json={**ids, "to": "+12025550102"})

    assert (call["outcome"], call["sentiment"]) == ("do-not-call", "negative")
    assert again.status_code == 400
    assert again.json() == {"error": {"code": "BAD_REQUEST", "message": "+12025550102 is on the do-not-call list"}}


def test_a_call_under_way_can_be_hung_up_and_one_that_waits_cancelled(client: httpx.Client) -> None:
    ids = caller(client, maxCallDuration=14_400)
    id = place(client, ids, "+12025550109")
    while client.get(f"/calls/{id}").json()["answeredAt"] is None:
        pass

    answer = client.post(f"/calls/{id}/hangup")
    call = until_over(client, [id])[id]

    assert answer.status_code == 200
    assert (call["status"], call["endReason"]) == ("completed", "cancelled")
