"""R5: another workspace's rows are not there, and the answer does not tell that from an id nobody has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.test_routes import ONE, ROUTES
from tests.support import seeds
from tests.support.api import UNKNOWN, Api
from tests.support.runtime import on_both

pytestmark = on_both


async def rows_of(api: Api) -> dict[str, str]:
    """The id of one row of each kind, by the beginning of its routes."""
    await seeds.everything(api.runtime, api.viewer)
    ids = {}
    for noun in ("agents", "campaigns", "appointments", "contacts", "phone-numbers", "do-not-call", "webhooks"):
        ids[noun] = (await api.get(f"/{noun}")).json()[0]["id"]
    ids["calls"] = (await api.get("/calls")).json()["calls"][0]["id"]
    ids["deliveries"] = (await api.get(f"/webhooks/{ids['webhooks']}/deliveries")).json()[0]["id"]
    return ids


async def test_every_route_answers_the_same_bytes(api: Api, other: Api) -> None:
    theirs = await rows_of(other)

    async with api.unchanged():
        for method, path, *_ in ROUTES:
            if ONE not in path:
                continue
            id = theirs["deliveries" if "/deliveries/" in path else path.split("/")[1]]
            enrol = method == "POST" and path.endswith("/contacts")
            body: Any = {"contactIds": [theirs["contacts"]]} if enrol else {}
            sent = {"json": body} if method in ("POST", "PATCH") else {}

            foreign = await api.http.request(method, f"/api/v1{path.replace(ONE, '/' + id)}", **sent)
            unknown = await api.http.request(method, f"/api/v1{path.replace(ONE, '/' + UNKNOWN)}", **sent)

            assert foreign.status_code == unknown.status_code == 404, (method, path)
            assert foreign.content.replace(id.encode(), UNKNOWN.encode()) == unknown.content
            assert set(foreign.headers) == set(unknown.headers)


async def test_lists_show_nothing_of_it(api: Api, other: Api) -> None:
    theirs = await rows_of(other)

    for path in ("/agents", "/campaigns", "/appointments", "/contacts", "/phone-numbers", "/do-not-call", "/webhooks"):
        assert (await api.get(path)).text == "[]"
    assert (await api.get("/calls")).json()["total"] == 0
    for name in ("agentId", "campaignId"):
        assert (await api.get(f"/calls?{name}={theirs[name.removesuffix('Id') + 's']}")).json()["total"] == 0


async def test_references_to_it_are_not_found(api: Api, other: Api) -> None:
    """E5."""
    theirs = await rows_of(other)
    agent = await seeds.agent(api.runtime, api.viewer)
    number = await seeds.phone_number(api.runtime, api.viewer)
    mine = {"agentId": agent.id, "phoneNumberId": number.id}
    hour = {"startTime": "2025-02-15T10:00:00Z", "endTime": "2025-02-15T11:00:00Z"}
    campaign = await seeds.campaign(api.runtime, api.viewer)
    refusals: list[tuple[str, dict[str, Any], str, str]] = [
        ("/calls", {**mine, "to": "+15551234567", "agentId": theirs["agents"]}, "Agent", "agents"),
        (
            "/calls",
            {**mine, "to": "+15551234567", "phoneNumberId": theirs["phone-numbers"]},
            "Phone number",
            "phone-numbers",
        ),
        ("/campaigns", {**mine, "name": "C", "agentId": theirs["agents"]}, "Agent", "agents"),
        ("/campaigns", {**mine, "name": "C", "contactIds": [theirs["contacts"]]}, "Contact", "contacts"),
        (f"/campaigns/{campaign.id}/contacts", {"contactIds": [theirs["contacts"]]}, "Contact", "contacts"),
        ("/appointments", {**hour, "title": "T", "contactId": theirs["contacts"]}, "Contact", "contacts"),
    ]

    for path, body, noun, kind in refusals:
        async with api.unchanged():
            response = await api.post(path, body)

        assert response.status_code == 404
        assert response.json() == {
            "error": {"code": "NOT_FOUND", "message": f"{noun} with id {theirs[kind]} not found"}
        }


@pytest.mark.parametrize("noun", ["agent", "campaign", "call", "appointment", "contact", "phoneNumber", "delivery"])
async def test_graphql_does_not_see_it_either(api: Api, other: Api, noun: str) -> None:
    theirs = await rows_of(other)
    kind = {"phoneNumber": "phone-numbers", "delivery": "deliveries"}.get(noun, f"{noun}s")

    answer = await api.graphql(f"query($id: ID!) {{ {noun}(id: $id) {{ id }} }}", id=theirs[kind])

    assert answer["data"] == {noun: None}
    assert answer["errors"][0]["extensions"] == {"code": "NOT_FOUND"}
