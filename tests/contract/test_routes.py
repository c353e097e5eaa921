"""The routes, written a second time: a change of the contract is a change here too."""

from __future__ import annotations

import pytest
from starlette.routing import Route

from tests.support.api import UNKNOWN, Api, client, error

# Method, path, and the names of the query parameters it takes.
DOCUMENTED = """
GET    /agents                          limit offset
POST   /agents
GET    /agents/{id}
PATCH  /agents/{id}
DELETE /agents/{id}
GET    /campaigns                       limit offset
POST   /campaigns
GET    /campaigns/{id}
PATCH  /campaigns/{id}
GET    /calls                           limit offset status agentId campaignId from to
POST   /calls
GET    /calls/{id}
GET    /appointments                    limit offset status contactId from to
POST   /appointments
GET    /appointments/{id}
PATCH  /appointments/{id}
"""
ADDITIVE = """
GET    /contacts                        limit offset phoneNumber
POST   /contacts
POST   /contacts/import                 mode dryRun campaignId
GET    /contacts/{id}
PATCH  /contacts/{id}
DELETE /contacts/{id}
GET    /phone-numbers                   limit offset
GET    /phone-numbers/{id}
GET    /campaigns/{id}/contacts         limit offset status endReason
POST   /campaigns/{id}/contacts
POST   /calls/{id}/hangup
GET    /do-not-call                     limit offset
POST   /do-not-call
GET    /do-not-call/{id}
DELETE /do-not-call/{id}
GET    /webhooks                        limit offset
POST   /webhooks
GET    /webhooks/{id}
PATCH  /webhooks/{id}
DELETE /webhooks/{id}
GET    /webhooks/{id}/deliveries        limit offset state event from to
POST   /webhooks/{id}/test
POST   /webhooks/{id}/rotate-secret
POST   /webhooks/{id}/recover
POST   /events/trigger
GET    /webhooks/deliveries/{id}
POST   /webhooks/deliveries/{id}/resend
"""
ROUTES = [line.split() for line in (DOCUMENTED + ADDITIVE).split("\n") if line]
ONE = "/{id}"


def test_nothing_else_is_served_under_the_prefix(api: Api) -> None:
    served = {
        (method, route.path)
        for route in api.app.routes
        if isinstance(route, Route) and route.path.startswith("/api/")
        for method in (route.methods or set()) - {"HEAD"}
    } - {("GET", "/api/v1/openapi.json"), ("GET", "/api/v1/events")}

    assert served == {(method, f"/api/v1{path}") for method, path, *_ in ROUTES}


@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES])
async def test_every_route_wants_a_key(api: Api, method: str, path: str) -> None:
    async with client(api.app) as http:
        response = await http.request(method, f"/api/v1{path.replace(ONE, '/' + UNKNOWN)}", json={})

    assert error(response) == (401, "UNAUTHORIZED", "Missing or invalid API key")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "known"), [(method, path, known) for method, path, *known in ROUTES])
async def test_every_route_refuses_query_parameters_that_it_does_not_know(
    api: Api, method: str, path: str, known: list[str]
) -> None:
    """R7, and before anything else is looked at."""
    every = {"limit", "offset", "status", "agentId", "campaignId", "contactId", "phoneNumber", "state", "from", "to"}
    address = f"/api/v1{path.replace(ONE, '/' + UNKNOWN)}"

    for name in sorted((every | {"id", "input", "Limit"}) - set(known)):
        response = await api.http.request(method, address, params={name: "1"}, json={})
        assert error(response) == (400, "BAD_REQUEST", f"Unknown query parameter '{name}'")
    for name in known:
        response = await api.http.request(method, f"{address}?{name}=1&{name}=1")
        assert error(response) == (400, "BAD_REQUEST", f"Query parameter '{name}' was given more than once")


@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES if ONE in route[1]])
async def test_every_route_of_one_thing_says_when_it_is_not_there(api: Api, method: str, path: str) -> None:
    """E4, R5."""
    nouns = {
        "agents": "Agent",
        "campaigns": "Campaign",
        "calls": "Call",
        "appointments": "Appointment",
        "contacts": "Contact",
        "phone-numbers": "Phone number",
        "do-not-call": "Do-not-call entry",
        "webhooks": "Webhook endpoint",
    }
    noun = "Delivery" if "/deliveries/" in path else nouns[path.split("/")[1]]
    bodies = {"contacts": {"contacts": [{"phoneNumber": "+15551234567"}]}, "recover": {"since": "2025-01-15T00:00:00Z"}}
    body = bodies.get(path.rpartition("/")[2]) if method == "POST" else None

    async with api.unchanged():
        response = await api.http.request(
            method, f"/api/v1{path.replace(ONE, '/' + UNKNOWN)}", json=body or ({} if method == "PATCH" else None)
        )

    assert error(response) == (404, "NOT_FOUND", f"{noun} with id {UNKNOWN} not found")


@pytest.mark.parametrize("path", [route[1] for route in ROUTES if route[0] == "GET"])
async def test_head_is_get_without_a_body(api: Api, path: str) -> None:
    address = f"/api/v1{path.replace(ONE, '/' + UNKNOWN)}"

    head, get = await api.http.head(address), await api.http.get(address)

    assert head.status_code == get.status_code
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", ["/agents/", "//agents", "/agents//", "/Agents", "", "/", "/nothing", "/agents/a/b"])
async def test_other_paths_are_not_found_and_not_redirected(api: Api, path: str) -> None:
    response = await api.http.get(f"/api/v1{path}")

    assert error(response) == (404, "NOT_FOUND", f"No such route: GET /api/v1{path}")
    assert response.headers["x-ratelimit-limit"] == "300"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/agents", "GET, HEAD, POST"),
        ("OPTIONS", "/agents", "GET, HEAD, POST"),
        ("POST", f"/agents/{UNKNOWN}", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", f"/campaigns/{UNKNOWN}", "GET, HEAD, PATCH"),
        ("DELETE", f"/calls/{UNKNOWN}", "GET, HEAD"),
        ("GET", f"/calls/{UNKNOWN}/hangup", "POST"),
        ("OPTIONS", "/contacts/import", "POST"),
        ("DELETE", "/contacts/import", "POST"),
        ("POST", "/webhooks/deliveries/test", "GET, HEAD"),
    ],
)
async def test_other_methods_are_not_allowed(api: Api, method: str, path: str, allow: str) -> None:
    """E2."""
    response = await api.http.request(method, f"/api/v1{path}")

    assert error(response) == (405, "BAD_REQUEST", f"{method} is not allowed on /api/v1{path}, only {allow}")
    assert response.headers["allow"] == allow
    assert response.headers["x-ratelimit-limit"] == "300"


async def test_the_log_of_deliveries_is_not_taken_for_an_endpoint(api: Api) -> None:
    delivery = await api.get(f"/webhooks/deliveries/{UNKNOWN}")
    endpoint = await api.get("/webhooks/deliveries")

    assert error(delivery)[2] == f"Delivery with id {UNKNOWN} not found"
    assert error(endpoint)[2] == "Webhook endpoint with id deliveries not found"
