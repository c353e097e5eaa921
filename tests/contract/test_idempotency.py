"""R10: `Idempotency-Key` on every POST. The first answer, byte for byte, and nothing done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type

from app.main import create_app
from app.rest.adapter import compile_endpoints
from app.rest.routes import ROUTES
from schema.rules.plans import Plan
from schema.runtime import Runtime
from tests.contract.examples import AGENT, APPOINTMENT, CAMPAIGN
from tests.contract.idempotency import HEADER, OTHER_BODY, STILL_RUNNING, Hold, held, is_replayed, keys, post
from tests.support import seeds
from tests.support.api import Api, client, error
from tests.support.invariants import broken_invariants
from tests.support.runtime import on_both

pytestmark = on_both

A_NUMBER = {"phoneNumber": "+15551234567"}
CSV = "phoneNumber,name\n+15551230004,Zoë\nnone,Kim\n"


@pytest.fixture
async def hold(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hold]:
    """The next operation waits."""
    async for each in held(monkeypatch):
        yield each


@pytest.fixture(autouse=True)
async def invariants(runtime: Runtime) -> AsyncIterator[None]:
    yield
    assert await broken_invariants(runtime) == []


async def bodies(api: Api) -> dict[str, tuple[str, Any]]:
    """A path and a body, JSON or CSV, for the operation of each POST."""
    await seeds.everything(api.runtime, api.viewer)
    agent, number = await seeds.agent(api.runtime, api.viewer), await seeds.phone_number(api.runtime, api.viewer)
    contact, call = await seeds.contact(api.runtime, api.viewer), await seeds.call(api.runtime, api.viewer)
    campaign, hook = await seeds.campaign(api.runtime, api.viewer), await seeds.endpoint(api.runtime, api.viewer)
    delivery = (await api.post(f"/webhooks/{hook.id}/test", {})).json()["id"]
    caller = {"agentId": agent.id, "phoneNumberId": number.id}
    return {
        "CreateAgent": ("/agents", AGENT),
        "CreateCall": ("/calls", {**caller, "to": "+15551234567"}),
        "HangUpCall": (f"/calls/{call.id}/hangup", None),
        "CreateCampaign": ("/campaigns", {**CAMPAIGN, **caller, "contactIds": [contact.id]}),
        "EnrolContacts": (f"/campaigns/{campaign.id}/contacts", {"contacts": [{"phoneNumber": "+15551230001"}]}),
        "CreateAppointment": ("/appointments", {**APPOINTMENT, "contactId": contact.id}),
        "CreateContact": ("/contacts", {"phoneNumber": "+15551230002", "name": "Zoë", "customFields": {"secret": 1.5}}),
        "ImportContacts": (f"/contacts/import?mode=valid-rows&campaignId={campaign.id}", CSV),
        "AddDoNotCall": ("/do-not-call", {"phoneNumber": "+15551230003"}),
        "CreateWebhook": ("/webhooks", {"url": "https://hooks.example.com/x", "description": "whsec"}),
        "TestWebhook": (f"/webhooks/{hook.id}/test", {"event": "call.failed"}),
        "RecoverDeliveries": (f"/webhooks/{hook.id}/recover", {"since": "2025-01-15T00:00:00Z"}),
        "TriggerEvent": ("/events/trigger", {"event": "call.failed"}),
        "RotateWebhookSecret": (f"/webhooks/{hook.id}/rotate-secret", {"overlapSeconds": 60}),
        "ResendDelivery": (f"/webhooks/deliveries/{delivery}/resend", None),
    }


POSTS = [route for route in ROUTES if route.method == "POST"]


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.operation)
async def test_every_post_is_answered_again_and_done_once(api: Api, route: Any) -> None:
    path, body = (await bodies(api))[route.operation]

    first = await post(api, path, body)
    async with api.unchanged():
        second = await post(api, path, body)

    assert first.status_code == second.status_code == route.status
    assert second.content == first.content
    assert second.headers.get("location") == first.headers.get("location")
    assert (is_replayed(first), is_replayed(second)) == (False, True)
    assert (route.status == 201) is ("location" in second.headers)


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.operation)
async def test_the_first_answer_is_that_without_a_key(api: Api, other: Api, route: Any) -> None:
    mine, theirs = (await bodies(api))[route.operation], (await bodies(other))[route.operation]

    keyed, plain = await post(api, *mine), await post(other, *theirs, key=None)

    assert keyed.status_code == plain.status_code
    assert keyed.json().keys() == plain.json().keys()
    assert set(keyed.headers) == set(plain.headers)


async def test_of_ten_at_once_on_two_servers_one_is_carried_out(api: Api) -> None:
    second = Runtime.open(api.runtime.settings, clock=api.clock)
    async with client(create_app(second), api.key) as there:
        await asyncio.gather(api.get("/contacts"), there.get("/api/v1/contacts"))
        ways = [api.http, there] * 5

        responses = await asyncio.gather(
            *(http.post("/api/v1/contacts", json=A_NUMBER, headers={HEADER: "order-1"}) for http in ways)
        )
        afterwards = await asyncio.gather(
            *(http.post("/api/v1/contacts", json=A_NUMBER, headers={HEADER: "order-1"}) for http in ways)
        )
    await second.close()

    made = [response for response in responses if response.status_code == 201]
    assert Counter(map(is_replayed, made))[False] == 1
    assert {error(response) for response in responses if response not in made} <= {STILL_RUNNING}
    assert all(map(is_replayed, afterwards))
    assert {response.content for response in [*made, *afterwards]} == {made[0].content}
    assert len((await api.get("/contacts")).json()) == 1


# --- the same request ---


async def test_the_order_and_spacing_of_the_json_do_not_count(api: Api) -> None:
    first = await post(api, "/contacts", {"phoneNumber": "+15551234567", "customFields": {"a": 1, "b": 2}})
    second = await api.post(
        "/contacts",
        content=b' {"customFields": {"b":2,\n"a":1}, "phoneNumber":"+1555123\\u0034567"}',
        headers={HEADER: "order-1", "Content-Type": "application/json; charset=utf-8"},
    )

    assert second.content == first.content
    assert is_replayed(second)


@pytest.mark.parametrize(
    "other", [{"phoneNumber": "+15551234568"}, {**A_NUMBER, "name": None}, {**A_NUMBER, "notes": "x"}]
)
async def test_another_body_is_refused(api: Api, other: dict[str, Any]) -> None:
    await post(api, "/contacts", A_NUMBER)

    async with api.unchanged():
        response = await post(api, "/contacts", other)

    assert error(response) == OTHER_BODY
    assert not is_replayed(response)


async def test_another_query_is_another_request(api: Api) -> None:
    async with api.unchanged():
        tried = await post(api, "/contacts/import?dryRun=true", CSV, key=None)
    await post(api, "/contacts/import?mode=valid-rows", CSV)

    async with api.unchanged():
        others = [await post(api, f"/contacts/import{query}", CSV) for query in ("", "?dryRun=true")]

    assert tried.status_code == 200
    assert [error(other) for other in others] == [OTHER_BODY] * 2


async def test_a_body_is_another_than_none(api: Api) -> None:
    hook = await seeds.endpoint(api.runtime, api.viewer)
    await post(api, f"/webhooks/{hook.id}/test", {})

    assert error(await post(api, f"/webhooks/{hook.id}/test", {"event": "call.failed"})) == OTHER_BODY


async def test_while_the_first_is_running_the_rest_wait_outside(api: Api, hold: Hold) -> None:
    first = asyncio.create_task(post(api, "/contacts", A_NUMBER))
    await hold.reached.wait()

    async with api.unchanged():
        second = await post(api, "/contacts", A_NUMBER)
        other = await post(api, "/contacts", {"phoneNumber": "+15551234568"})
    hold.released.set()

    assert error(second) == STILL_RUNNING
    assert error(other) == OTHER_BODY
    assert (await first).status_code == 201
    assert is_replayed(await post(api, "/contacts", A_NUMBER))


# --- whose key it is ---


async def test_another_workspaces_keys_are_others(api: Api, other: Api) -> None:
    mine, theirs = await post(api, "/contacts", A_NUMBER), await post(other, "/contacts", {"phoneNumber": "+15550001"})

    assert (mine.status_code, theirs.status_code) == (201, 400)
    assert (await post(other, "/contacts", A_NUMBER)).json()["id"] != mine.json()["id"]


async def test_all_api_keys_of_a_workspace_share_them(api: Api) -> None:
    first = await post(api, "/contacts", A_NUMBER)
    _, key = await seeds.key(api.runtime, api.viewer)

    async with client(api.app, key) as http:
        second = await http.post("/api/v1/contacts", json=A_NUMBER, headers={HEADER: "order-1"})

    assert (second.content, is_replayed(second)) == (first.content, True)


async def test_an_answer_is_not_shown_to_an_api_key_that_may_not_ask_for_it(api: Api) -> None:
    hook = {"url": "https://hooks.example.com/x"}
    await post(api, "/webhooks", hook)
    row, key = await seeds.key(api.runtime, api.viewer)
    await api.set(type(row), row.id, scopes={"webhooks": "read"})

    async with client(api.app, key) as http:
        response = await http.post("/api/v1/webhooks", json=hook, headers={HEADER: "order-1"})
        unused = await http.post("/api/v1/webhooks", json=hook, headers={HEADER: "order-2"})

    forbidden = (403, "FORBIDDEN", "This API key lacks permission to write webhooks")
    assert error(response) == error(unused) == forbidden
    assert len(await keys(api)) == 1


async def test_the_same_key_elsewhere_is_another(api: Api) -> None:
    campaigns = [await seeds.campaign(api.runtime, api.viewer) for _ in range(2)]
    paths = ["/contacts", "/do-not-call", *(f"/campaigns/{row.id}/contacts" for row in campaigns)]
    people = {"contacts": [A_NUMBER]}

    responses = [await post(api, path, people if "campaigns" in path else A_NUMBER) for path in paths]

    assert [response.status_code for response in responses] == [201, 201, 200, 200]
    assert not any(map(is_replayed, responses))


# --- what is of the second request alone ---


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_an_answer_given_again_is_a_request_like_any_other(api: Api) -> None:
    first = await post(api, "/contacts", A_NUMBER)

    second = await api.post("/contacts", A_NUMBER, headers={HEADER: "order-1", "X-Request-Id": "again"})

    assert second.headers["x-request-id"] == "again"
    assert first.headers["x-request-id"] != "again"
    assert (first.headers["x-ratelimit-remaining"], second.headers["x-ratelimit-remaining"]) == ("59", "58")
    for _ in range(58):
        assert is_replayed(await post(api, "/contacts", A_NUMBER))
    refused = await post(api, "/contacts", A_NUMBER)
    assert (refused.status_code, is_replayed(refused)) == (429, False)


async def test_after_24_hours_the_key_is_new(api: Api) -> None:
    first = await post(api, "/agents", AGENT)
    await api.clock.advance(24 * 3600 - 1)
    again = await post(api, "/agents", AGENT)
    await api.clock.advance(1)

    anew = await post(api, "/agents", {**AGENT, "name": "Another"})

    assert again.content == first.content
    assert (anew.status_code, is_replayed(anew)) == (201, False)
    assert anew.json()["id"] != first.json()["id"]
    assert len(await keys(api)) == 1


# --- the header ---


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    async with api.unchanged():
        response = await api.http.post(
            "/api/v1/contacts", json=A_NUMBER, headers=[(HEADER.encode(), key.encode("latin-1"))]
        )

    assert error(response) == (400, "BAD_REQUEST", "Idempotency-Key must be 1 to 255 visible ASCII characters")


async def test_two_keys_are_refused(api: Api) -> None:
    async with api.unchanged():
        response = await api.http.post("/api/v1/contacts", json=A_NUMBER, headers=[(HEADER, "a"), (HEADER, "a")])

    assert error(response) == (400, "BAD_REQUEST", "Idempotency-Key was given more than once")


async def test_other_methods_do_not_look_at_it(api: Api) -> None:
    row = await seeds.agent(api.runtime, api.viewer)
    bad = {HEADER: "a b"}

    for _ in range(2):
        assert (await api.get("/agents", headers=bad)).status_code == 200
        assert (await api.patch(f"/agents/{row.id}", {"name": "Kim"}, headers=bad)).status_code == 200
    assert (await api.delete(f"/agents/{row.id}", headers=bad)).status_code == 204
    assert await keys(api) == []


async def test_nor_does_graphql(api: Api) -> None:
    text = 'mutation { createContact(input: {phoneNumber: "+15551234567"}) { id } }'

    await api.http.post("/graphql", json={"query": text}, headers={HEADER: "order-1"})

    assert await keys(api) == []


# --- secrets ---


@pytest.mark.parametrize("operation", ["CreateWebhook", "RotateWebhookSecret"])
async def test_a_signing_secret_is_shown_again_but_kept_in_one_place_only(api: Api, operation: str) -> None:
    path, body = (await bodies(api))[operation]

    first = await post(api, path, body)

    secret = first.json()["secret"].encode()
    assert secret.startswith(b"whsec_")
    assert not any(secret in (row.body or b"") for row in await keys(api))
    assert (await post(api, path, body)).content == first.content


def test_no_answer_shows_another_secret() -> None:
    """Those of endpoints are taken out by name; one of another name or depth would be kept as it is."""
    shown = {
        (endpoint.operation.root.type.of_type.name, name)
        for endpoint in compile_endpoints()
        if endpoint.takes_key and isinstance(get_named_type(endpoint.operation.root.type), GraphQLObjectType)
        for name in get_named_type(endpoint.operation.root.type).fields
        if any(word in name.lower() for word in ("secret", "token", "key", "password"))
    }

    assert shown == {
        ("WebhookEndpointWithSecret", "secret"),
        ("WebhookEndpointWithSecret", "previousSecretExpiresAt"),
    }
