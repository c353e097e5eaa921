"""Who gets in: keys on the header, and nothing before them (decisions K1, K3, K4, K5)."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import httpx
import pytest

from app.main import create_app
from schema.rules.keys import new_key
from schema.rules.plans import Plan
from schema.runtime import Runtime
from schema.services import keys, workspaces
from schema.settings import Settings
from schema.tables import ApiKey
from tests.support import seeds
from tests.support.api import Api, client, error
from tests.support.runtime import on_both

REFUSED = (401, "UNAUTHORIZED", "Missing or invalid API key")


async def ask(api: Api, headers: list[tuple[str, str]]) -> httpx.Response:
    async with client(api.app) as http:
        return await http.get("/api/v1/agents", headers=headers)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "])
async def test_a_good_key(api: Api, form: str) -> None:
    assert (await ask(api, [("Authorization", form.format(api.key))])).status_code == 200


@pytest.mark.parametrize(
    "form", ["{}", "Basic {}", "Token {}", "Bearer", "Bearer ", "Bearer{}", "Bearer {} x", "Bearer,{}"]
)
async def test_a_key_that_is_not_presented_as_one(api: Api, form: str) -> None:
    assert error(await ask(api, [("Authorization", form.format(api.key))])) == REFUSED


async def test_two_keys_are_none(api: Api) -> None:
    """Which of them a proxy looked at cannot be told."""
    header = ("Authorization", f"Bearer {api.key}")

    assert error(await ask(api, [header, header])) == REFUSED


async def test_a_key_elsewhere_than_in_its_header(api: Api) -> None:
    async with client(api.app) as http:
        query = await http.get("/api/v1/agents", params={"api_key": api.key})
        cookie = await http.get("/api/v1/agents", headers={"Cookie": f"key={api.key}", "X-Api-Key": api.key})

    assert error(query) == error(cookie) == REFUSED


async def test_a_mistyped_key_is_refused_without_a_query(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """K1."""
    mistyped = api.key[:-1] + ("A" if api.key[-1] != "A" else "B")

    async def query(*_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(api.runtime.database, "read", query)

    for key in (mistyped, "vf_live_", "x" * 1000, "ключ"):
        async with client(api.app) as http:
            response = await http.get("/api/v1/agents", headers={"Authorization": f"Bearer {key}".encode()})
        assert error(response) == REFUSED


@on_both
async def test_unknown_revoked_and_expired_keys_read_the_same(api: Api) -> None:
    """K4."""
    async with api.runtime.transaction(api.viewer) as tx:
        revoked, revoked_key = await keys.create(tx, {"name": "R"})
        _, expired_key = await keys.create(tx, {"name": "E", "expires_at": tx.now + timedelta(minutes=1)})

    async def answers() -> list[int]:
        responses = [
            await ask(api, [("Authorization", f"Bearer {key}"), ("X-Request-Id", "r1")])
            for key in (revoked_key, expired_key, new_key())
        ]
        assert len({response.content for response in responses if response.status_code == 401}) <= 1
        return [response.status_code for response in responses]

    assert await answers() == [200, 200, 401]
    async with api.runtime.transaction(api.viewer) as tx:
        await keys.revoke(tx, revoked.id)
    assert await answers() == [401, 200, 401]
    await api.clock.advance(60)
    assert await answers() == [401, 401, 401]


@on_both
async def test_the_last_use_is_noted_once_a_minute(api: Api) -> None:
    """K4."""
    noted = []
    for seconds in (0, 59, 1):
        await api.clock.advance(seconds)
        await api.get("/agents")
        noted.append((await api.set(ApiKey, api.key_id)).last_used_at)

    start = seeds.at("2025-01-15T14:00:00Z")
    assert noted == [start, start, start + timedelta(minutes=1)]


async def test_another_plan_is_obeyed_at_the_next_request(api: Api) -> None:
    """K5."""
    before = await api.get("/agents")
    async with api.runtime.transaction(None) as tx:
        await workspaces.set_plan(tx, api.viewer.workspace_id, Plan.BUSINESS)
    after = await api.get("/agents")

    assert [answer.headers["x-ratelimit-limit"] for answer in (before, after)] == ["300", "600"]
    assert after.headers["x-ratelimit-remaining"] == "598"


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"])
async def test_what_needs_no_key(api: Api, path: str) -> None:
    async with client(api.app) as http:
        response = await http.get(path)

    assert response.status_code == 200
    assert "x-ratelimit-limit" not in response.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1"),
        ("GET", "/api/v1/"),
        ("GET", "/api/v1/nothing"),
        ("PUT", "/api/v1/agents"),
        ("POST", "/api/v1/openapi.json"),
        ("GET", "/api/v1/openapi.json/"),
        ("OPTIONS", "/api/v1/agents"),
        ("GET", "/graphql"),
        ("POST", "/graphql"),
        ("POST", "/graphql/stream"),
    ],
)
async def test_a_stranger_learns_nothing_of_what_is_there(api: Api, method: str, path: str) -> None:
    async with client(api.app) as http:
        response = await http.request(method, path)

    assert error(response) == REFUSED


@pytest.mark.parametrize("path", ["/api/v10/agents", "/graphqlx", "/api/v1x"])
async def test_a_path_beside_the_protected_ones(api: Api, path: str) -> None:
    async with client(api.app) as http:
        response = await http.get(path)

    assert error(response)[0] == 404


async def test_failures_are_counted_for_the_client_behind_a_trusted_proxy(api: Api, settings: Settings) -> None:
    """K3, K5."""
    behind = settings.model_copy(update={"trusted_proxies": (ip_network("10.0.0.0/8"),)})
    runtime = Runtime(behind, api.clock, api.runtime.database, api.runtime.bell, api.runtime.secret)

    async with client(create_app(runtime), "wrong", peer="10.0.0.1") as proxy:
        for _ in range(20):
            await proxy.get("/api/v1/agents", headers={"X-Forwarded-For": "203.0.113.9"})
        same = await proxy.get("/api/v1/agents", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
        other = await proxy.get("/api/v1/agents", headers={"X-Forwarded-For": "203.0.113.10"})

    assert (same.status_code, other.status_code) == (429, 401)


async def test_a_stranger_cannot_name_another_address(api: Api) -> None:
    """K3: `X-Forwarded-For` counts only from a trusted proxy."""
    async with client(api.app, "wrong") as http:
        statuses = [
            (await http.get("/api/v1/agents", headers={"X-Forwarded-For": f"203.0.113.{i}"})).status_code
            for i in range(21)
        ]

    assert statuses == [401] * 20 + [429]
