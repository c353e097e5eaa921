"""K2: every route with every scope: allowed, or exactly 403, and then nothing has changed."""

from __future__ import annotations

from typing import Any

import pytest

from schema.rules.plans import Plan
from tests.contract.test_routes import ONE, ROUTES
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, client, error
from tests.support.runtime import on_both

RESOURCES = (
    "agents",
    "campaigns",
    "calls",
    "appointments",
    "contacts",
    "phone-numbers",
    "webhooks",
    "api-keys",
)
# By the first part of the path, where it is not the resource itself.
RESOURCE = {"do-not-call": "contacts", "events": "webhooks"}


@pytest.fixture
def plan() -> Plan:
    """Without a limit of requests."""
    return Plan.ENTERPRISE


def needed(method: str, path: str) -> tuple[str, str]:
    """What a route takes: GET reads, all else writes what the path begins with."""
    first = path.split("/")[1]
    return RESOURCE.get(first, first), "read" if method == "GET" else "write"


async def keys_of(api: Api) -> dict[tuple[str, str], str]:
    """A key for each scope, and one with the default."""
    made = {("", "default"): api.key}
    for resource in RESOURCES:
        for access in ("read", "write"):
            made[resource, access] = (await seeds.key(api.runtime, api.viewer, scopes=[(resource, access)]))[1]
    return made


@on_both
async def test_every_route_with_every_scope(api: Api) -> None:
    texts = await keys_of(api)
    for text in texts.values():  # the first use is noted
        async with client(api.app, text) as http:
            await http.get("/api/v1/agents")

    for method, path, *_ in ROUTES:
        resource, access = needed(method, path)
        good = {("", "default"), (resource, "write"), (resource, access)}
        at = f"/api/v1{path.replace(ONE, '/' + UNKNOWN)}"
        sent: dict[str, Any] = {"json": {}} if method in ("POST", "PATCH") else {}

        async with api.unchanged():
            for scope in texts.keys() - good:
                async with client(api.app, texts[scope]) as http:
                    response = await http.request(method, at, **sent)
                assert error(response) == (
                    403,
                    "FORBIDDEN",
                    f"This API key lacks permission to {access} {resource}",
                ), (method, path, scope)
        for scope in good:
            async with client(api.app, texts[scope]) as http:
                response = await http.request(method, at, **sent)
            assert response.status_code in (200, 400, 404, 415), (method, path, scope, response.text)


async def test_the_key_is_looked_at_before_the_body(api: Api) -> None:
    """A key that may not write learns nothing of what is wrong, and 25 MiB are not read for it."""
    _, text = await seeds.key(api.runtime, api.viewer, scopes=[("calls", "write")])

    async with client(api.app, text) as http:
        bad = await http.post("/api/v1/agents", content=b"{", headers={"Content-Type": "application/json"})
        unknown = await http.post("/api/v1/agents?x=1", json={"x": 1}, headers={"Idempotency-Key": "k" * 1000})
        csv = await http.post("/api/v1/contacts/import", content=b"phone\n", headers={"Content-Type": "text/csv"})

    lacks = "This API key lacks permission to write"
    assert error(bad) == error(unknown) == (403, "FORBIDDEN", f"{lacks} agents")
    assert error(csv) == (403, "FORBIDDEN", f"{lacks} contacts")


async def test_what_a_refusal_costs(api: Api) -> None:
    """K5: it is a request of an authenticated key, and has the headers of one."""
    await seeds.plan(api.runtime, api.viewer, Plan.STARTER)
    _, text = await seeds.key(api.runtime, api.viewer, scopes=[("calls", "read")])

    async with client(api.app, text) as http:
        response = await http.get("/api/v1/agents")

    assert response.status_code == 403
    assert response.headers["x-ratelimit-remaining"] == "59"
    assert "www-authenticate" not in response.headers


async def test_a_key_of_one_scope_has_the_whole_answer_of_its_routes(api: Api) -> None:
    """0010: what a documented answer embeds is its own resource's; of others there are only ids."""
    await seeds.everything(api.runtime, api.viewer)
    whole = {path: (await api.get(path)).json() for path in ("/calls", "/appointments", "/campaigns", "/webhooks")}
    call = whole["/calls"]["calls"][-1]["id"]
    whole[f"/calls/{call}"] = (await api.get(f"/calls/{call}")).json()
    campaign = whole["/campaigns"][0]["id"]
    whole[f"/campaigns/{campaign}/contacts"] = (await api.get(f"/campaigns/{campaign}/contacts")).json()
    hook = whole["/webhooks"][0]["id"]
    delivery = (await api.get(f"/webhooks/{hook}/deliveries")).json()[0]["id"]
    whole[f"/webhooks/deliveries/{delivery}"] = (await api.get(f"/webhooks/deliveries/{delivery}")).json()

    for path, answer in whole.items():
        _, text = await seeds.key(api.runtime, api.viewer, scopes=[(path.split("/")[1], "read")])
        async with client(api.app, text) as http:
            assert (await http.get(f"/api/v1{path}")).json() == answer
