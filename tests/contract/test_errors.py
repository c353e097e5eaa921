"""The document's table of errors, and decisions E1 to E6: failures are one envelope, and change nothing."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from schema.errors import LimitReached
from schema.rules.campaigns import CampaignStatus
from schema.runtime import Runtime
from schema.services import agents
from schema.tables import Agent, ApiKey, Campaign, PhoneNumber
from tests.support import seeds
from tests.support.api import JSON, UNKNOWN, Api, client, error
from tests.support.runtime import on_both

AGENT = {"name": "Sam", "systemPrompt": "Be kind."}


# --- *Error Handling*, row by row ---


async def test_400_bad_request(api: Api) -> None:
    async with api.unchanged():
        response = await api.post("/agents", {**AGENT, "maxCallDuration": 5})

    assert error(response) == (400, "BAD_REQUEST", "maxCallDuration must be between 10 and 14400 seconds")


@pytest.mark.parametrize("key", [None, "", "Bearer", "vf_live_" + "0" * 49, "sk-123"])
async def test_401_unauthorized(api: Api, key: str | None) -> None:
    async with api.unchanged(), client(api.app, key) as http:
        response = await http.post("/api/v1/agents", json=AGENT)

    assert error(response) == (401, "UNAUTHORIZED", "Missing or invalid API key")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "x-ratelimit-limit" not in response.headers


async def test_403_forbidden(api: Api) -> None:
    await api.set(ApiKey, api.key_id, scopes={"agents": "read"})

    async with api.unchanged():
        response = await api.post("/agents", AGENT)

    assert error(response) == (403, "FORBIDDEN", "This API key lacks permission to write agents")
    assert (await api.get("/agents")).status_code == 200
    assert error(await api.get("/calls")) == (403, "FORBIDDEN", "This API key lacks permission to read calls")


async def test_404_not_found(api: Api) -> None:
    assert error(await api.get(f"/agents/{UNKNOWN}")) == (404, "NOT_FOUND", f"Agent with id {UNKNOWN} not found")


async def test_422_limit_reached(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """E3: the status is the limit's alone; the counting is the service's."""

    async def full(*_given: object) -> None:
        raise LimitReached("The Professional plan allows 20 agents")

    monkeypatch.setattr(agents, "create", full)

    response = await api.post("/agents", AGENT)

    assert error(response) == (422, "LIMIT_REACHED", "The Professional plan allows 20 agents")


async def test_500_internal_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """E4: nothing of what went wrong is in it, but the id under which the log has it."""

    async def broken(*_given: object, **_named: object) -> None:
        raise RuntimeError("SELECT secret FROM /var/lib/voxforge.db")

    monkeypatch.setattr(agents, "list_page", broken)

    response = await api.get("/agents", headers={"X-Request-Id": "order-4711"})

    assert error(response) == (500, "INTERNAL_ERROR", "Something went wrong on our end (request order-4711)")
    assert response.headers["x-ratelimit-remaining"] == "299"


# 429 is in test_rate_limits.py.


# --- E1, E2: every layer ---


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b"{}", {}, 415, "Content-Type must be application/json"),
        (
            b"name=x",
            {"Content-Type": "application/x-www-form-urlencoded"},
            415,
            "Content-Type must be application/json",
        ),
        (b"", JSON, 400, "The request body is empty: it must be JSON"),
        (b"{", JSON, 400, "The request body is not valid JSON (line 1, column 2)"),
        (b"\xff", JSON, 400, "The request body is not UTF-8"),
        (b"[]", JSON, 400, "The request body must be an object"),
        (b"null", JSON, 400, "The request body cannot be null"),
        (b'"agent"', JSON, 400, "The request body must be an object"),
        (b'{"tools":' + b"[" * 32 + b"]" * 32 + b"}", JSON, 400, "The request body is nested deeper than 32 levels"),
        (b'{"name":"' + b"x" * 1024 * 1024 + b'"}', JSON, 413, "The request body is larger than 1 MiB"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_body_that_cannot_be_read(
    api: Api, method: str, content: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    """E6; `rest-api.md`: the content type is required for POST and PATCH."""
    path = "/agents" if method == "POST" else f"/agents/{(await seeds.agent(api.runtime, api.viewer)).id}"

    async with api.unchanged():
        response = await api.http.request(method, f"/api/v1{path}", content=content, headers=headers)

    assert error(response) == (status, "BAD_REQUEST", message)
    assert response.headers["x-ratelimit-limit"] == "300"
    assert "x-request-id" in response.headers


async def test_a_body_is_refused_only_after_its_sender(api: Api) -> None:
    """E6: a stranger's large body is not a stranger's business."""
    async with client(api.app) as http:
        response = await http.post("/api/v1/agents", content=b"x" * 2 * 1024 * 1024)

    assert error(response)[:2] == (401, "UNAUTHORIZED")


async def test_json_may_name_its_charset(api: Api) -> None:
    content = orjson.dumps({**AGENT, "name": "Zoë"})

    response = await api.http.post(
        "/api/v1/agents", content=content, headers={"Content-Type": "Application/JSON; charset=UTF-8"}
    )

    assert (response.status_code, response.json()["name"]) == (201, "Zoë")


async def test_a_body_where_none_is_wanted(api: Api) -> None:
    """A GET's is not looked at; a POST's that takes nothing may be empty, and is refused by name if it is not."""
    row = await seeds.call(api.runtime, api.viewer)

    read = await api.http.request("GET", "/api/v1/agents", content=b"{", headers={"Content-Type": "text/plain"})
    named = await api.post(f"/calls/{row.id}/hangup", {"reason": "x"})
    listed = await api.post(f"/calls/{row.id}/hangup", ["x"])
    typed = await api.http.post(f"/api/v1/calls/{row.id}/hangup", content=b"x")

    assert read.status_code == 200
    assert error(named) == (400, "BAD_REQUEST", "Unknown field 'reason'")
    assert error(listed) == (400, "BAD_REQUEST", "The request body must be an object")
    assert error(typed)[0] == 415
    assert (await api.get(f"/calls/{row.id}")).json()["status"] == "queued"
    assert (await api.post(f"/calls/{row.id}/hangup", {})).json()["endReason"] == "cancelled"


@pytest.mark.parametrize("path", ["/nothing", "/api/v2/agents", "/api", "/graphql/", "/agents.json"])
async def test_an_unknown_address(api: Api, path: str) -> None:
    response = await api.http.get(path)

    assert error(response) == (404, "NOT_FOUND", f"No such route: GET {path}")


# --- E3, E4, E5 ---


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "name is required"),
        ({"name": "Sam"}, "systemPrompt is required"),
        ({**AGENT, "name": ""}, "name must not be empty"),
        ({**AGENT, "name": "x" * 201}, "name must be between 1 and 200 characters"),
        ({**AGENT, "name": 5}, "name must be a string"),
        ({**AGENT, "name": "a\u0000b"}, "name cannot contain the NUL character"),
        ({**AGENT, "isActive": "yes"}, "isActive must be true or false"),
        ({**AGENT, "maxCallDuration": 600.5}, "maxCallDuration must be a whole number"),
        ({**AGENT, "maxCallDuration": "600"}, "maxCallDuration must be a whole number"),
        ({**AGENT, "maxCallDuration": 14401}, "maxCallDuration must be between 10 and 14400 seconds"),
        ({**AGENT, "language": "english"}, "language must be a language tag such as en-US"),
        ({**AGENT, "tools": "end_call"}, "tools must be a list"),
        ({**AGENT, "tools": ["fly"]}, "tools must contain only: book_appointment, do_not_call, transfer, end_call"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_to_its_sender(api: Api, body: dict[str, Any], message: str) -> None:
    """E3, E4."""
    async with api.unchanged():
        response = await api.post("/agents", body)

    assert error(response) == (400, "BAD_REQUEST", message)


async def test_no_sentence_speaks_of_how_we_are_made(api: Api) -> None:
    """E4."""
    words = ("graphql", "variable", "input", "python", "int", "nonnull", "select", "sqlite", "strawberry", "traceback")
    bodies: list[Any] = [{"name": {"a": 1}, "systemPrompt": []}, {"tools": [{"a": {}}]}, {"firstMessage": 1}, [1], 1.5]
    responses = [await api.post("/agents", {**AGENT, **body} if isinstance(body, dict) else body) for body in bodies]
    responses += [await api.post("/campaigns", {**AGENT, "callWindow": 5})]
    responses += [await api.get(f"/calls?{query}") for query in ("limit=%00", "agentId=%00", "from=%ff", "x[]=1")]

    for response in responses:
        status, _, message = error(response)
        assert status == 400
        assert not any(word in message.lower().split() for word in words), message


@on_both
async def test_an_illegal_move_names_both_statuses(api: Api) -> None:
    """E3."""
    row = await seeds.campaign(api.runtime, api.viewer)
    await api.set(Campaign, row.id, status=CampaignStatus.CANCELLED)

    async with api.unchanged():
        response = await api.patch(f"/campaigns/{row.id}", {"status": "active"})

    assert error(response)[:2] == (400, "BAD_REQUEST")
    assert "cancelled" in error(response)[2]
    assert "active" in error(response)[2]


@on_both
async def test_a_reference_that_is_not_there_is_404_and_one_that_cannot_be_used_is_400(api: Api) -> None:
    """E5."""
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    body = {"agentId": agent.id, "phoneNumberId": number.id, "to": "+15551234567"}

    async def refused(**wrong: str) -> tuple[int, str, str]:
        async with api.unchanged():
            return error(await api.post("/calls", {**body, **wrong}))

    assert await refused(agentId=UNKNOWN) == (404, "NOT_FOUND", f"Agent with id {UNKNOWN} not found")
    assert await refused(phoneNumberId=UNKNOWN) == (404, "NOT_FOUND", f"Phone number with id {UNKNOWN} not found")
    await api.set(Agent, agent.id, is_active=False)
    assert await refused() == (400, "BAD_REQUEST", f"Agent with id {agent.id} is not active")
    await api.set(Agent, agent.id, is_active=True)
    await api.set(PhoneNumber, number.id, is_active=False)
    assert await refused() == (400, "BAD_REQUEST", f"Phone number with id {number.id} is not active")


# --- crashes outside the routes ---


async def test_a_crash_before_the_route(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """E1: the layer that authenticates may break, too."""

    async def down(*_given: object) -> None:
        raise ConnectionError("postgresql://user:secret@db/voxforge")

    monkeypatch.setattr(Runtime, "snapshot", down)
    monkeypatch.setattr(api.runtime.database, "read", down)

    response: httpx.Response = await api.get("/agents", headers={"X-Request-Id": "order-4711"})

    assert error(response) == (500, "INTERNAL_ERROR", "Something went wrong on our end (request order-4711)")
