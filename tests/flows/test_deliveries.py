"""Webhooks on real sockets: the ladder, its end, the log, resending, tests and what becomes of a deleted endpoint."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
import standardwebhooks
import svix

from tests.flows.receiver import Receiver
from tests.flows.servers import caller, place, until_over
from tests.flows.test_first_call import check_signatures, endpoint


def settled(client: httpx.Client, delivery: str, *states: str, within_s: float = 30) -> dict[str, Any]:
    """The delivery, once it is in one of those states."""
    deadline = time.monotonic() + within_s
    while True:
        found: dict[str, Any] = client.get(f"/webhooks/deliveries/{delivery}").json()
        if found["state"] in states:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_a_test_event_arrives_signed_and_is_logged(client: httpx.Client, receiving: Receiver) -> None:
    """Decisions W3, W7."""
    hook = endpoint(client, receiving)

    answer = client.post(f"/webhooks/{hook['id']}/test", json={"event": "transcript.ready"})
    [delivered] = receiving.wait_for(1)
    delivery = settled(client, answer.json()["id"], "delivered")

    assert answer.status_code == 201
    assert delivered.json["event"] == "transcript.ready"
    assert delivered.headers["webhook-id"] == delivery["eventId"]
    assert delivery["body"].encode() == delivered.body
    check_signatures(delivered, hook["secret"])
    [attempt] = delivery["attempts"]
    assert (attempt["number"], attempt["trigger"], attempt["statusCode"], attempt["errorClass"]) == (
        1,
        "test",
        200,
        None,
    )
    assert (attempt["responseBody"], attempt["nextAttemptAt"]) == ("ok", None)
    assert hook["secret"] not in client.get(f"/webhooks/deliveries/{delivery['id']}").text


def test_both_secrets_verify_what_arrives_while_they_overlap(client: httpx.Client, receiving: Receiver) -> None:
    """Decision W3: with the Standard Webhooks libraries the old secret and the new, in the header of old the old."""
    hook = endpoint(client, receiving)
    old = hook["secret"]
    new = client.post(f"/webhooks/{hook['id']}/rotate-secret").json()["secret"]
    client.post(f"/webhooks/{hook['id']}/test")
    [during] = receiving.wait_for(1)
    newest = client.post(f"/webhooks/{hook['id']}/rotate-secret", json={"overlapSeconds": 0}).json()["secret"]
    client.post(f"/webhooks/{hook['id']}/test")

    [_, after] = receiving.wait_for(2)

    check_signatures(during, old)
    for secret in (old, new):
        assert standardwebhooks.Webhook(secret).verify(during.body, during.headers) == during.json
        svix.Webhook(secret).verify(during.body, during.headers)
    check_signatures(after, newest)
    for secret in (old, new):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret).verify(after.body, after.headers)
        with pytest.raises(svix.WebhookVerificationError):
            svix.Webhook(secret).verify(after.body, after.headers)


def test_what_an_endpoint_missed_is_recovered_once(client: httpx.Client, receiving: Receiver) -> None:
    """Decision 0013: with the ids of the first time."""
    hook = endpoint(client, receiving, events=["call.started"])
    ids = caller(client)
    client.patch(f"/webhooks/{hook['id']}", json={"isActive": False})
    time.sleep(1 - time.time() % 1)  # instants are whole seconds (R4), and others have called in this one
    until_over(client, calls := [place(client, ids, "+12025550140") for _ in range(2)])
    client.patch(f"/webhooks/{hook['id']}", json={"isActive": True})
    since = {"since": "2020-01-01T00:00:00Z"}
    too_old = client.post(f"/webhooks/{hook['id']}/recover", json=since)
    since["since"] = client.get(f"/calls/{calls[0]}").json()["createdAt"]

    first = client.post(f"/webhooks/{hook['id']}/recover", json=since)
    got = receiving.wait_for(2)
    again = client.post(f"/webhooks/{hook['id']}/recover", json=since)

    assert too_old.status_code == 400
    assert (first.json(), again.json()) == ({"recovered": 2}, {"recovered": 0})
    assert sorted(one.json["data"]["callId"] for one in got) == sorted(calls)  # begun in order, by several at once
    for one in got:
        check_signatures(one, hook["secret"])
    log = client.get(f"/webhooks/{hook['id']}/deliveries").json()
    assert sorted(one["eventId"] for one in log) == sorted(one.headers["webhook-id"] for one in got)


def test_a_test_event_is_sent_once_whatever_the_answer(client: httpx.Client, receiving: Receiver) -> None:
    hook = endpoint(client, receiving)
    receiving.statuses["/"] = [500]

    answer = client.post(f"/webhooks/{hook['id']}/test")
    delivery = settled(client, answer.json()["id"], "failed")

    assert (delivery["attemptsMade"], delivery["nextAttemptAt"]) == (1, None)


def test_an_upgrade_without_the_sub_protocol_is_answered_in_the_envelope(client: httpx.Client) -> None:
    """Decisions E1, R11: what is refused before a connection is open, HTTP says."""
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="

    answer = client.get(client.base_url.join("/graphql"), headers=upgrade)

    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "BAD_REQUEST",
        "message": "The WebSocket sub-protocol must be graphql-transport-ws",
    }
    assert answer.headers["x-request-id"]


def test_a_redirect_is_a_failure_and_a_refused_connection_has_a_class(
    client: httpx.Client, receiving: Receiver
) -> None:
    """Decisions W4, W7."""
    redirecting = endpoint(client, receiving, "/moved")
    receiving.statuses["/moved"] = [302]
    gone = client.post("/webhooks", json={"url": "http://127.0.0.1:2/nobody"}).json()

    moved = settled(client, client.post(f"/webhooks/{redirecting['id']}/test").json()["id"], "failed")
    refused = settled(client, client.post(f"/webhooks/{gone['id']}/test").json()["id"], "failed")

    assert moved["attempts"][0]["statusCode"] == 302
    assert len(receiving.at("/moved")) == 1
    assert (refused["attempts"][0]["statusCode"], refused["attempts"][0]["errorClass"]) == (None, "connect")


def test_a_delivery_that_failed_can_be_sent_again_by_hand(client: httpx.Client, receiving: Receiver) -> None:
    """Decision W7: the same body under the same id."""
    hook = endpoint(client, receiving)
    receiving.statuses["/"] = [500]
    delivery = client.post(f"/webhooks/{hook['id']}/test").json()["id"]
    settled(client, delivery, "failed")

    answer = client.post(f"/webhooks/deliveries/{delivery}/resend")
    again = settled(client, delivery, "delivered")

    assert answer.status_code == 200
    first, second = receiving.wait_for(2)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert [(one["number"], one["trigger"], one["statusCode"]) for one in again["attempts"]] == [
        (1, "test", 500),
        (2, "manual", 200),
    ]


def test_after_a_delete_nothing_more_is_sent(client: httpx.Client, receiving: Receiver) -> None:
    """Decision W8."""
    hook = endpoint(client, receiving)

    answer = client.delete(f"/webhooks/{hook['id']}")
    resent = client.post(f"/webhooks/{hook['id']}/test")

    assert (answer.status_code, answer.content) == (204, b"")
    assert resent.status_code == 404
    assert receiving.got == []
