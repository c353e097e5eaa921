"""Decisions R1 to R3, R5 and R11: how requests are answered; `test_values.py` has what is in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from schema.rules.plans import Plan
from schema.tables import Agent
from tests.support import seeds
from tests.support.api import Api
from tests.support.runtime import on_both

AGENT = {"name": "Sam", "systemPrompt": "Be kind."}
A_NUMBER = "+15551234567"


async def new_campaign(api: Api, **given: Any) -> httpx.Response:
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    return await api.post("/campaigns", {"name": "C", "agentId": agent.id, "phoneNumberId": number.id, **given})


# --- R1 ---


@on_both
async def test_creating_answers_201_the_resource_and_where_it_is(api: Api) -> None:
    """R1."""
    contact = await seeds.contact(api.runtime, api.viewer)
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    bodies: dict[str, Any] = {
        "agents": AGENT,
        "campaigns": {"name": "C", "agentId": agent.id, "phoneNumberId": number.id},
        "calls": {"agentId": agent.id, "phoneNumberId": number.id, "to": A_NUMBER},
        "appointments": {
            "contactId": contact.id,
            "startTime": "2025-02-15T10:00:00Z",
            "endTime": "2025-02-15T10:30:00Z",
            "title": "T",
        },
        "contacts": {"phoneNumber": A_NUMBER},
        "do-not-call": {"phoneNumber": A_NUMBER},
    }

    for noun, body in bodies.items():
        created = await api.post(f"/{noun}", body)

        assert created.status_code == 201, created.text
        assert created.headers["location"] == f"/api/v1/{noun}/{created.json()['id']}"
        assert (await api.http.get(created.headers["location"])).json() == created.json()


async def test_deleting_answers_204_and_nothing(api: Api) -> None:
    """R1."""
    rows = {
        "agents": (await seeds.agent(api.runtime, api.viewer)).id,
        "contacts": (await seeds.contact(api.runtime, api.viewer)).id,
        "webhooks": (await seeds.endpoint(api.runtime, api.viewer)).id,
        "do-not-call": (await api.post("/do-not-call", {"phoneNumber": A_NUMBER})).json()["id"],
    }

    for noun, id in rows.items():
        deleted = await api.delete(f"/{noun}/{id}")

        assert (deleted.status_code, deleted.content) == (204, b"")
        assert "content-type" not in deleted.headers
        assert (await api.get(f"/{noun}/{id}")).status_code == 404
        assert (await api.delete(f"/{noun}/{id}")).status_code == 404


# --- R2, R3 ---


@on_both
@pytest.mark.parametrize("plan", [Plan.ENTERPRISE])
async def test_lists_answer_everything_newest_first(api: Api) -> None:
    """R2, R3: the 101st agent is not missed."""
    rows = [await seeds.agent(api.runtime, api.viewer, name=f"Agent {index}") for index in range(101)]
    await api.set(Agent, rows[50].id, created_at=datetime(2025, 1, 16, tzinfo=UTC))

    response = await api.get("/agents")

    ids = [row.id for row in rows]
    assert [agent["id"] for agent in response.json()] == [ids[50], *reversed(ids[51:]), *reversed(ids[:50])]
    assert response.headers["x-total-count"] == "101"
    assert "link" not in response.headers


@on_both
async def test_pages_of_a_list(api: Api) -> None:
    """R2: `limit`, `offset`, `X-Total-Count` and `Link`."""
    rows = [await seeds.agent(api.runtime, api.viewer) for _ in range(5)]
    seen: list[str] = []
    address = "http://127.0.0.1:8000/api/v1/agents?limit=2"
    links = []

    while address:
        response = await api.http.get(address)
        seen += [agent["id"] for agent in response.json()]
        assert response.headers["x-total-count"] == "5"
        links.append(response.headers.get("link"))
        address = response.links["next"]["url"] if "next" in response.links else ""

    assert seen == [row.id for row in reversed(rows)]
    assert links == [
        '<http://127.0.0.1:8000/api/v1/agents?limit=2&offset=2>; rel="next"',
        '<http://127.0.0.1:8000/api/v1/agents?limit=2&offset=4>; rel="next"',
        None,
    ]
    assert len((await api.get("/agents?offset=3")).json()) == 2
    assert (await api.get("/agents?offset=9&limit=5")).json() == []


async def test_the_link_keeps_the_other_parameters(api: Api) -> None:
    """R2."""
    for _ in range(2):
        await seeds.appointment(api.runtime, api.viewer)

    response = await api.get("/appointments?status=confirmed&from=2025-01-01T00:00:00%2B01:00&limit=1")

    assert response.headers["link"] == (
        "<http://127.0.0.1:8000/api/v1/appointments?status=confirmed&from=2025-01-01T00%3A00%3A00%2B01%3A00"
        '&limit=1&offset=1>; rel="next"'
    )
    assert (await api.http.get(response.links["next"]["url"])).status_code == 200


@on_both
async def test_contacts_come_by_the_hundred(api: Api) -> None:
    """R2."""
    await seeds.contact_list(api.runtime, api.viewer, 101)

    response = await api.get("/contacts")

    assert (len(response.json()), response.headers["x-total-count"]) == (100, "101")
    assert response.headers["link"] == '<http://127.0.0.1:8000/api/v1/contacts?limit=100&offset=100>; rel="next"'
    assert len((await api.http.get(response.links["next"]["url"])).json()) == 1


@pytest.mark.parametrize("noun", ["agents", "campaigns", "appointments", "contacts", "phone-numbers", "webhooks"])
async def test_an_empty_list(api: Api, noun: str) -> None:
    response = await api.get(f"/{noun}")

    assert (response.text, response.headers["x-total-count"]) == ("[]", "0")


async def test_the_envelope_of_calls(api: Api) -> None:
    """R2."""
    assert (await api.get("/calls")).text == '{"calls":[],"total":0,"limit":50,"offset":0}'
    assert (await api.get("/calls?limit=200&offset=7")).text == '{"calls":[],"total":0,"limit":200,"offset":7}'


@on_both
async def test_appointments_come_earliest_first(api: Api) -> None:
    """R3."""
    contact = (await seeds.contact(api.runtime, api.viewer)).id
    tomorrow = api.clock.now() + timedelta(days=1)
    late, early = [
        await seeds.appointment(
            api.runtime, api.viewer, contact_id=contact, start_time=tomorrow + timedelta(hours=hours)
        )
        for hours in (2, 1)
    ]

    assert [row["id"] for row in (await api.get("/appointments")).json()] == [early.id, late.id]


# --- R5: see test_tenancy.py ---


async def test_ids_look_like_the_documents(api: Api) -> None:
    """R5: and sort by creation."""
    ids = [(await api.post("/agents", AGENT)).json()["id"] for _ in range(3)]

    assert all(len(id) == 25 and id[0] == "c" and id.isalnum() and id.islower() for id in ids)
    assert ids == sorted(ids)


# --- R11 ---


@pytest.mark.parametrize("path", ["/api/v1/agents", "/api/v1/nothing", "/graphql", "/", "/healthz", "/nothing"])
async def test_every_answer_has_a_request_id(api: Api, path: str) -> None:
    """R11."""
    mine = await api.http.get(path, headers={"X-Request-Id": "order-4711"})
    theirs = await api.http.get(path, headers={"X-Request-Id": "not sane"})

    assert mine.headers["x-request-id"] == "order-4711"
    assert len(theirs.headers["x-request-id"]) == 32
