"""The additive routes of webhooks, and what the document says of them; W1, W3, W7 and W8 as far as they show here."""

from __future__ import annotations

import re
from typing import Any

import pytest

from schema import due
from schema.rules.webhooks import DeliveryState
from schema.services import sending
from schema.tables import Delivery
from tests.support import seeds
from tests.support.api import Api, error
from tests.support.invariants import rows
from tests.support.runtime import on_both

pytestmark = on_both

EVENTS = ["call.started", "call.ended", "call.failed", "transcript.ready", "analysis.complete"]
ENDPOINT = [
    *("id", "url", "description", "events", "isActive"),
    *("failingSince", "disabledAt", "disabledReason", "createdAt", "updatedAt"),
]
URL = "https://hooks.example.com/voxforge"


async def test_setting_up_an_endpoint(api: Api) -> None:
    """*Setting up a webhook endpoint*: the secret is shown when it is made, and not again."""
    created = await api.post("/webhooks", {"url": URL, "events": ["call.ended", "call.failed"]})

    made = created.json()
    assert created.status_code == 201
    assert created.headers["location"] == f"/api/v1/webhooks/{made['id']}"
    assert list(made) == [*ENDPOINT[:8], "secret", *ENDPOINT[8:]]
    assert (made["failingSince"], made["disabledAt"], made["disabledReason"]) == (None, None, None)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made.pop("secret"))
    assert made["events"] == ["call.ended", "call.failed"]
    assert (await api.get(f"/webhooks/{made['id']}")).json() == made
    assert (await api.get("/webhooks")).json() == [made]
    patched = await api.patch(f"/webhooks/{made['id']}", {"description": "CRM"})
    assert patched.json() == made | {"description": "CRM"}


async def test_an_endpoint_gets_every_event_unless_told(api: Api) -> None:
    """*Event types*."""
    assert (await api.post("/webhooks", {"url": URL})).json()["events"] == EVENTS


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"url": "http://hooks.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"url": "ftp://example.com/"},
        {"url": URL, "events": ["call.exploded"]},
        {"url": URL, "events": []},
        {"url": URL, "secret": "whsec_mine"},
    ],
)
async def test_an_endpoint_that_cannot_be(api: Api, given: dict[str, Any]) -> None:
    """W6, R7."""
    async with api.unchanged():
        response = await api.post("/webhooks", given)

    assert error(response)[:2] == (400, "BAD_REQUEST")


async def test_rotating_a_secret(api: Api) -> None:
    """W3: 24 hours of overlap unless told."""
    made = (await api.post("/webhooks", {"url": URL})).json()

    default = await api.http.post(f"/api/v1/webhooks/{made['id']}/rotate-secret")
    none = await api.post(f"/webhooks/{made['id']}/rotate-secret", {"overlapSeconds": 0})
    long = await api.post(f"/webhooks/{made['id']}/rotate-secret", {"overlapSeconds": 86401})

    assert default.status_code == none.status_code == 200
    assert len({each["secret"] for each in (made, default.json(), none.json())}) == 3
    assert default.json()["previousSecretExpiresAt"] == "2025-01-16T14:00:00Z"
    assert none.json()["previousSecretExpiresAt"] is None
    assert error(long) == (400, "BAD_REQUEST", "overlapSeconds must be between 0 and 86400")


async def test_sending_a_test_event(api: Api) -> None:
    """W7."""
    row = await seeds.endpoint(api.runtime, api.viewer)

    default = await api.http.post(f"/api/v1/webhooks/{row.id}/test")
    named = await api.post(f"/webhooks/{row.id}/test", {"event": "call.failed"})
    unknown = await api.post(f"/webhooks/{row.id}/test", {"event": "call.exploded"})

    delivery = default.json()
    assert default.status_code == named.status_code == 201
    assert default.headers["location"] == f"/api/v1/webhooks/deliveries/{delivery['id']}"
    assert (await api.http.get(default.headers["location"])).json() == delivery
    assert (delivery["event"], delivery["state"], delivery["attempts"]) == ("call.ended", "pending", [])
    assert named.json()["event"] == "call.failed"
    assert error(unknown)[:2] == (400, "BAD_REQUEST")


async def sent(api: Api, **result: Any) -> None:
    """Every delivery that is due is sent once, with that result."""
    leases = await due.lease(api.runtime, Delivery, limit=10, seconds=30)
    outgoing = await sending.load(api.runtime, leases)
    async with api.runtime.transaction(api.viewer) as tx:
        await sending.settle(tx, [seeds.answer(out, tx.now, **result) for out in outgoing])


async def test_the_log_of_a_delivery(api: Api) -> None:
    """W7, and *Payload format*."""
    endpoint = await seeds.endpoint(api.runtime, api.viewer, events=["call.ended"])
    call = await seeds.call(api.runtime, api.viewer, to="+15551234567")
    await seeds.over(api.runtime, api.viewer, call)
    await sent(api, status_code=503, response_body="busy")

    listed = await api.get(f"/webhooks/{endpoint.id}/deliveries")
    (summary,) = listed.json()
    delivery = (await api.get(f"/webhooks/deliveries/{summary['id']}")).json()

    assert listed.headers["x-total-count"] == "1"
    assert summary == {
        "id": summary["id"],
        "eventId": summary["eventId"],
        "event": "call.ended",
        "state": "pending",
        "attemptsMade": 1,
        "nextAttemptAt": "2025-01-15T14:00:30Z",
        "createdAt": "2025-01-15T14:00:00Z",
        "finishedAt": None,
    }
    assert delivery == summary | {
        "endpointId": endpoint.id,
        "body": '{"event":"call.ended","timestamp":"2025-01-15T14:00:00Z","data":{'
        f'"callId":"{call.id}","status":"completed","duration":183,"to":"+15551234567",'
        f'"agentId":"{call.agent_id}","campaignId":null}}}}',
        "attempts": [
            {
                "number": 1,
                "trigger": "automatic",
                "startedAt": "2025-01-15T13:59:59Z",
                "durationMs": 250,
                "statusCode": 503,
                "errorClass": None,
                "error": None,
                "responseBody": "busy",
                "nextAttemptAt": "2025-01-15T14:00:30Z",
            }
        ],
    }


async def test_deliveries_by_state(api: Api) -> None:
    """R8."""
    row = await seeds.endpoint(api.runtime, api.viewer)
    for _ in range(2):
        await api.http.post(f"/api/v1/webhooks/{row.id}/test")
    first = (await api.get(f"/webhooks/{row.id}/deliveries")).json()[0]
    await api.set(Delivery, first["id"], state=DeliveryState.FAILED, due_at=None)

    async def found(state: str) -> int:
        return len((await api.get(f"/webhooks/{row.id}/deliveries?state={state}")).json())

    assert (await found("pending"), await found("failed"), await found("delivered")) == (1, 1, 0)
    wrong = await api.get(f"/webhooks/{row.id}/deliveries?state=FAILED")
    assert error(wrong) == (400, "BAD_REQUEST", "state must be one of: pending, delivered, failed, cancelled")


async def test_resending_by_hand(api: Api) -> None:
    """W7."""
    row = await seeds.endpoint(api.runtime, api.viewer)
    delivery = (await api.http.post(f"/api/v1/webhooks/{row.id}/test")).json()
    await sent(api)
    delivered = (await api.get(f"/webhooks/deliveries/{delivery['id']}")).json()

    resent = await api.http.post(f"/api/v1/webhooks/deliveries/{delivery['id']}/resend")

    assert delivered["state"] == "delivered"
    assert (resent.status_code, resent.json()["state"]) == (200, "pending")
    assert (resent.json()["body"], resent.json()["eventId"]) == (delivered["body"], delivered["eventId"])
    await api.delete(f"/webhooks/{row.id}")
    gone = await api.http.post(f"/api/v1/webhooks/deliveries/{delivery['id']}/resend")
    assert error(gone) == (400, "BAD_REQUEST", f"The endpoint of delivery {delivery['id']} has been deleted")


async def test_after_a_delete_nothing_is_sent(api: Api) -> None:
    """W8."""
    row = await seeds.endpoint(api.runtime, api.viewer)
    delivery = (await api.http.post(f"/api/v1/webhooks/{row.id}/test")).json()

    await api.delete(f"/webhooks/{row.id}")

    assert await due.lease(api.runtime, Delivery, limit=10, seconds=30) == []
    assert (await api.get(f"/webhooks/deliveries/{delivery['id']}")).json()["state"] == "cancelled"


async def test_an_endpoint_that_was_disabled_says_why_and_is_switched_on_and_recovered(api: Api) -> None:
    """Decision 0013."""
    row = await seeds.endpoint(api.runtime, api.viewer, events=["call.started"])
    await seeds.submitted(api.runtime, api.viewer, await seeds.call(api.runtime, api.viewer))
    await sent(api, status_code=500)
    assert (await api.get(f"/webhooks/{row.id}")).json()["failingSince"] == "2025-01-15T14:00:00Z"
    await api.clock.advance(5 * 86_400)
    await sent(api, status_code=500)

    disabled = (await api.get(f"/webhooks/{row.id}")).json()
    too_soon = await api.post(f"/webhooks/{row.id}/recover", {"since": "2025-01-15T00:00:00Z"})
    enabled = (await api.patch(f"/webhooks/{row.id}", {"isActive": True})).json()
    recovered = await api.post(f"/webhooks/{row.id}/recover", {"since": "2025-01-15T00:00:00Z"})
    again = await api.post(f"/webhooks/{row.id}/recover", {"since": "2025-01-15T00:00:00Z"})

    assert {name: disabled[name] for name in ("isActive", "failingSince", "disabledAt", "disabledReason")} == {
        "isActive": False,
        "failingSince": "2025-01-15T14:00:00Z",
        "disabledAt": "2025-01-20T14:00:00Z",
        "disabledReason": "No delivery has succeeded since 2025-01-15T14:00:00Z (5 days): the last answer 500",
    }
    assert error(too_soon) == (400, "BAD_REQUEST", f"Webhook endpoint with id {row.id} is not active")
    assert (enabled["isActive"], enabled["failingSince"], enabled["disabledReason"]) == (True, None, None)
    assert (recovered.status_code, recovered.json()) == (200, {"recovered": 1})
    assert again.json() == {"recovered": 0}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "since is required"),
        ({"since": "2025-01-16T14:00:00Z"}, "since must not be in the future"),
        ({"since": "2024-12-01T00:00:00Z"}, "since must not be more than 30 days ago: events are kept no longer"),
        ({"since": "2025-01-15T00:00:00Z", "until": "2025-01-14T00:00:00Z"}, "since must not be after until"),
        ({"since": "2025-01-15T00:00:00Z", "until": None}, "until cannot be null"),
    ],
)
async def test_what_cannot_be_recovered(api: Api, body: dict[str, Any], message: str) -> None:
    """Decision 0013."""
    row = await seeds.endpoint(api.runtime, api.viewer)

    async with api.unchanged():
        response = await api.post(f"/webhooks/{row.id}/recover", body)

    assert error(response) == (400, "BAD_REQUEST", message)


async def test_deliveries_by_event_and_time(api: Api) -> None:
    """R8."""
    row = await seeds.endpoint(api.runtime, api.viewer)
    for event in ("call.ended", "call.failed", "call.failed"):
        await api.post(f"/webhooks/{row.id}/test", {"event": event})
        await api.clock.advance(86_400)

    async def found(query: str) -> list[str]:
        return [each["event"] for each in (await api.get(f"/webhooks/{row.id}/deliveries?{query}")).json()]

    assert await found("event=call.failed") == ["call.failed", "call.failed"]
    assert await found("from=2025-01-16&to=2025-01-16") == ["call.failed"]
    assert await found("to=2025-01-15") == ["call.ended"]
    wrong = await api.get(f"/webhooks/{row.id}/deliveries?event=call.exploded")
    assert error(wrong)[:2] == (400, "BAD_REQUEST")
    backwards = await api.get(f"/webhooks/{row.id}/deliveries?from=2025-01-17&to=2025-01-16")
    assert error(backwards) == (400, "BAD_REQUEST", "from must not be after to")


async def test_no_answer_and_no_row_of_the_log_has_a_secret_or_a_signature(api: Api) -> None:
    """W7."""
    made = (await api.post("/webhooks", {"url": URL})).json()
    rotated = (await api.http.post(f"/api/v1/webhooks/{made['id']}/rotate-secret")).json()
    delivery = (await api.http.post(f"/api/v1/webhooks/{made['id']}/test")).json()
    leases = await due.lease(api.runtime, Delivery, limit=10, seconds=30)
    (out,) = await sending.load(api.runtime, leases)
    headers = out.headers(api.clock.now())
    async with api.runtime.transaction(api.viewer) as tx:
        await sending.settle(tx, [seeds.answer(out, tx.now, status_code=500)])

    shown = [
        (await api.get(path)).text
        for path in (
            "/webhooks",
            f"/webhooks/{made['id']}",
            f"/webhooks/{made['id']}/deliveries",
            f"/webhooks/deliveries/{delivery['id']}",
        )
    ]
    kept = await rows(api.runtime)
    written = [str(kept[table]) for table in kept if table != "webhook_endpoints"]
    told = [made["secret"], rotated["secret"], headers["X-VoxForge-Signature"], *headers["webhook-signature"].split()]
    for word in told:
        for text in (*shown, *written):
            assert word.removeprefix("whsec_").removeprefix("sha256=").removeprefix("v1,") not in text


async def test_an_event_can_be_triggered(api: Api) -> None:
    await seeds.endpoint(api.runtime, api.viewer, events=["call.ended"])

    wanted = await api.post("/events/trigger", {"event": "call.ended"})
    unwanted = await api.post("/events/trigger", {"event": "call.failed"})

    assert wanted.status_code == 200
    assert list(wanted.json()) == ["id", "event", "createdAt", "deliveries"]
    assert wanted.json() | {"id": "c1"} == {
        "id": "c1",
        "event": "call.ended",
        "createdAt": "2025-01-15T14:00:00Z",
        "deliveries": 1,
    }
    assert unwanted.json()["deliveries"] == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "event is required"),
        ({"event": None}, "event cannot be null"),
        (
            {"event": "call.answered"},
            "event must be among call.started, call.ended, call.failed, transcript.ready, analysis.complete",
        ),
    ],
)
async def test_what_cannot_be_triggered(api: Api, body: dict[str, Any], message: str) -> None:
    async with api.unchanged():
        response = await api.post("/events/trigger", body)

    assert error(response) == (400, "BAD_REQUEST", message)
