"""R10: which answers are kept for a key, and which leave it free. As at Stripe, what began executing is kept."""

from __future__ import annotations

from typing import Any

import pytest

from schema.rules.plans import Plan
from schema.services import agents
from tests.contract.examples import AGENT, APPOINTMENT
from tests.contract.idempotency import HEADER, OTHER_BODY, is_replayed, keys, post
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, client, error
from tests.support.runtime import on_both

pytestmark = on_both

A_NUMBER = {"phoneNumber": "+15551234567"}


async def test_a_refusal_that_looked_at_the_rows_is_kept(api: Api) -> None:
    agent, number = await seeds.agent(api.runtime, api.viewer), await seeds.phone_number(api.runtime, api.viewer)
    blocked = (await api.post("/do-not-call", A_NUMBER)).json()
    call = {"agentId": agent.id, "phoneNumberId": number.id, "to": "+15551234567"}
    first = await post(api, "/calls", call)
    await api.delete(f"/do-not-call/{blocked['id']}")

    async with api.unchanged():
        second = await post(api, "/calls", call)
    anew = await post(api, "/calls", call, key="order-2")

    assert error(first) == (400, "BAD_REQUEST", "+15551234567 is on the do-not-call list")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert (is_replayed(first), is_replayed(second)) == (False, True)
    assert "location" not in second.headers
    assert anew.status_code == 201


async def test_so_is_that_something_was_not_there(api: Api) -> None:
    """E5, for what the body refers to and for what is in the path."""
    appointment = {**APPOINTMENT, "contactId": UNKNOWN}

    for path, body in [("/appointments", appointment), (f"/calls/{UNKNOWN}/hangup", None)]:
        first, second = [await post(api, path, body) for _ in range(2)]
        assert first.status_code == second.status_code == 404
        assert second.content == first.content
        assert (is_replayed(first), is_replayed(second)) == (False, True)


async def test_so_is_that_something_was_there_already(api: Api) -> None:
    contact = await post(api, "/contacts", A_NUMBER)
    duplicate = await post(api, "/contacts", A_NUMBER, key="order-2")

    await api.delete(f"/contacts/{contact.json()['id']}")

    assert duplicate.status_code == 400
    assert (await post(api, "/contacts", A_NUMBER, key="order-2")).content == duplicate.content


@pytest.mark.parametrize(
    ("path", "bad", "good"),
    [
        ("/agents", {**AGENT, "maxCallDuration": 5}, AGENT),
        ("/agents", {**AGENT, "name": ""}, AGENT),
        ("/agents", {**AGENT, "mood": "kind"}, AGENT),
        ("/agents", {**AGENT, "isActive": "yes"}, AGENT),
        ("/contacts", {"phoneNumber": "15551234567"}, A_NUMBER),
        ("/webhooks", {"url": "http://localhost/"}, {"url": "https://hooks.example.com/x"}),
    ],
)
async def test_a_body_that_is_wrong_by_itself_leaves_the_key_free(api: Api, path: str, bad: Any, good: Any) -> None:
    async with api.unchanged():
        for _ in range(2):
            refused = await post(api, path, bad)
            assert (refused.status_code, is_replayed(refused)) == (400, False)

    assert (await post(api, path, good)).status_code == 201


@pytest.mark.parametrize(
    ("sent", "path", "status"),
    [
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "/contacts", 400),
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, "/contacts", 415),
        ({"content": b" " * (1024 * 1024 + 1), "headers": {"Content-Type": "application/json"}}, "/contacts", 413),
        ({"json": A_NUMBER, "headers": {"Authorization": "Bearer vf_live_mistyped"}}, "/contacts", 401),
        ({"json": A_NUMBER}, "/contacts?surprise=1", 400),
    ],
)
async def test_what_never_reached_the_operation_leaves_the_key_free(
    api: Api, sent: dict[str, Any], path: str, status: int
) -> None:
    async with api.unchanged():
        response = await api.http.post(
            f"/api/v1{path}", **{**sent, "headers": {HEADER: "order-1", **sent.get("headers", {})}}
        )

    assert (response.status_code, is_replayed(response)) == (status, False)
    assert (await post(api, "/contacts", A_NUMBER)).status_code == 201


async def test_a_missing_permission_leaves_the_key_free(api: Api) -> None:
    row, key = await seeds.key(api.runtime, api.viewer)
    await api.set(type(row), row.id, scopes={"contacts": "read"})

    async with client(api.app, key) as http:
        response = await http.post("/api/v1/contacts", json=A_NUMBER, headers={HEADER: "order-1"})

    assert response.status_code == 403
    assert (await post(api, "/contacts", A_NUMBER)).status_code == 201


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_too_many_requests_leave_the_key_free(api: Api) -> None:
    for _ in range(60):
        await api.get("/contacts")
    refused = await post(api, "/contacts", A_NUMBER)
    await api.clock.advance(60)

    assert refused.status_code == 429
    assert (await post(api, "/contacts", A_NUMBER)).status_code == 201


async def test_a_failure_of_ours_leaves_the_key_free_and_nothing_done(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = agents.create

    async def fail_late(*args: Any) -> Any:
        await create(*args)
        raise RuntimeError

    monkeypatch.setattr(agents, "create", fail_late)
    async with api.unchanged():
        failed = await post(api, "/agents", AGENT)
    monkeypatch.setattr(agents, "create", create)
    made = await post(api, "/agents", {**AGENT, "name": "Kim"})

    assert failed.status_code == 500
    assert made.status_code == 201
    assert [row["name"] for row in (await api.get("/agents")).json()] == ["Kim"]


async def test_a_refusal_is_kept_for_its_body_only(api: Api) -> None:
    refused = await post(api, "/appointments", {**APPOINTMENT, "contactId": UNKNOWN})
    contact = await seeds.contact(api.runtime, api.viewer)

    async with api.unchanged():
        corrected = await post(api, "/appointments", {**APPOINTMENT, "contactId": contact.id})

    assert refused.status_code == 404
    assert error(corrected) == OTHER_BODY
    assert len(await keys(api)) == 1
