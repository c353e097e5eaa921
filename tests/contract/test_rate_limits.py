"""*Rate Limits* and decision K5: windows on the clock's minute, three headers on every authenticated answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import httpx
import pytest

from app.rate_limit import FAILED_AUTHENTICATIONS
from schema.rules.plans import Plan
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, client, error
from tests.support.time import VirtualClock

RESET = 1706745660  # the document's own: 2024-02-01T00:01:00Z
TOO_MANY = "Too many requests: wait until X-RateLimit-Reset, then try again"


@pytest.fixture
def clock() -> VirtualClock:
    """Ten seconds before the document's `X-RateLimit-Reset`."""
    return VirtualClock(datetime(2024, 2, 1, 0, 0, 50, tzinfo=UTC))


def usage(response: httpx.Response) -> tuple[str | None, str | None, str | None]:
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    return tuple(response.headers.get(name) for name in names)  # type: ignore[return-value]


async def test_the_headers_that_are_shown(api: Api) -> None:
    for _ in range(12):
        await api.get("/agents")

    response = await api.get("/agents")

    assert usage(response) == ("300", "287", "1706745660")


@pytest.mark.parametrize(
    ("plan", "limit"), [(Plan.STARTER, 60), (Plan.PROFESSIONAL, 300), (Plan.BUSINESS, 600), (Plan.ENTERPRISE, None)]
)
async def test_each_plan_has_its_limit(api: Api, limit: int | None) -> None:
    response = await api.get("/agents")

    expected = (str(limit), str(limit - 1), str(RESET)) if limit else (None, None, None)
    assert usage(response) == expected


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_a_change_of_plan_holds_for_the_next_request(api: Api) -> None:
    """K6; what was used stays used."""
    first = await api.get("/agents")
    await seeds.plan(api.runtime, api.viewer, Plan.BUSINESS)
    second = await api.get("/agents")
    await seeds.plan(api.runtime, api.viewer, Plan.ENTERPRISE)
    third = await api.get("/agents")

    assert [usage(response)[:2] for response in (first, second, third)] == [("60", "59"), ("600", "598"), (None, None)]


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_over_the_limit(api: Api) -> None:
    """K5: 429 until `Reset`; a request sent at `Reset` succeeds."""
    for _ in range(60):
        assert (await api.get("/agents")).status_code == 200

    async with api.unchanged():
        refused = await api.post("/agents", {"name": "Sam", "systemPrompt": "Be kind."})
        unknown = await api.get("/nothing")
        graphql = await api.http.post("/graphql", json={"query": "{ agents { total } }"})

    for response in (refused, unknown, graphql):
        assert error(response) == (429, "RATE_LIMITED", TOO_MANY)
        assert usage(response) == ("60", "0", str(RESET))
        assert response.headers["retry-after"] == "10"
    await api.clock.advance(9.5)
    last = await api.get("/agents")
    assert (last.status_code, last.headers["retry-after"]) == (429, "1")
    await api.clock.advance(0.5)
    first = await api.get("/agents")
    assert (first.status_code, usage(first)) == (200, ("60", "59", str(RESET + 60)))


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_parallel_requests_are_counted_exactly(api: Api) -> None:
    statuses = Counter(
        response.status_code for response in await asyncio.gather(*(api.get("/agents") for _ in range(70)))
    )

    assert statuses == {200: 60, 429: 10}


async def test_every_authenticated_answer_has_the_headers(api: Api) -> None:
    answers = [
        (200, await api.get("/agents")),
        (201, await api.post("/agents", {"name": "Sam", "systemPrompt": "Be kind."})),
        (400, await api.get("/agents?limit=0")),
        (404, await api.get(f"/agents/{UNKNOWN}")),
        (404, await api.get("/nothing")),
        (405, await api.http.put("/api/v1/agents")),
        (413, await api.http.post("/api/v1/agents", content=b"x" * 1024 * 1024 * 2)),
        (415, await api.http.post("/api/v1/agents", content=b"{}")),
        (405, await api.http.get("/graphql")),
        (415, await api.http.post("/graphql", content=b"{}")),
        (400, await api.http.post("/graphql", json=[])),
    ]

    for used, (status, response) in enumerate(answers, start=1):
        assert response.status_code == status
        assert usage(response) == ("300", str(300 - used), str(RESET))


async def test_each_key_counts_for_itself(api: Api) -> None:
    _, second = await seeds.key(api.runtime, api.viewer)
    await api.get("/agents")

    async with client(api.app, second) as http:
        response = await http.get("/api/v1/agents")

    assert usage(response) == ("300", "299", str(RESET))


async def test_graphql_counts_root_fields(api: Api) -> None:
    """K5: fragments opened, what merges once, what is skipped or only a name too, at least one."""
    cost = {
        "{ agents { total } }": 1,
        "{ agents { total } agents { total } }": 1,
        "{ a: agents { total } b: agents { total } }": 2,
        "{ ...All ... { workspace { id } } } fragment All on Query { agents { total } calls { total } }": 3,
        "query A { agents { total } } query B { agents { total } calls { total } contacts { total } }": 3,
        "{ a: __typename b: __typename agents { total } }": 3,
        "query($no: Boolean = false) { agents @include(if: $no) { total } calls @skip(if: true) { total } }": 2,
        "{ ...All @skip(if: true) ...All } fragment All on Query { ... { a: __typename } b: __typename }": 2,
        "{ nothing }": 1,
        "{": 1,
    }
    left = 300

    for query, counted in cost.items():
        response = await api.http.post(
            "/graphql", json={"query": query, "operationName": "B" if " B " in query else None}
        )
        left -= counted
        assert usage(response) == ("300", str(left), str(RESET)), query


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_graphql_over_the_limit_does_nothing(api: Api) -> None:
    for _ in range(58):
        await api.get("/agents")
    add = 'addDoNotCall(input: {phoneNumber: "+15551234567"}) { id }'
    twice = f"mutation {{ a: {add} b: {add} }}"

    assert (await api.get("/agents")).headers["x-ratelimit-remaining"] == "1"
    response = await api.http.post("/graphql", json={"query": twice})

    assert error(response)[:2] == (429, "RATE_LIMITED")
    await api.clock.advance(10)
    assert (await api.get("/do-not-call")).json() == []


async def test_failed_authentications_are_limited_by_address(api: Api) -> None:
    """K5: 20 a minute; a good key from the same address still works."""
    async with client(api.app, "wrong", peer="192.0.2.7") as stranger, client(api.app, peer="192.0.2.8") as another:
        for _ in range(FAILED_AUTHENTICATIONS):
            assert error(await stranger.get("/api/v1/agents"))[:2] == (401, "UNAUTHORIZED")

        refused = await stranger.get("/api/v1/agents")
        graphql = await stranger.post("/graphql", json={"query": "{ agents { total } }"})
        elsewhere = await another.get("/api/v1/agents")
        good = await stranger.get("/api/v1/agents", headers={"Authorization": f"Bearer {api.key}"})
        public = await stranger.get("/healthz")

    message = "Too many failed authentications from this address: wait until X-RateLimit-Reset, then try again"
    assert error(refused) == error(graphql) == (429, "RATE_LIMITED", message)
    assert usage(refused) == ("20", "0", str(RESET))
    assert refused.headers["retry-after"] == "10"
    assert error(elsewhere)[0] == 401
    assert (good.status_code, usage(good)) == (200, ("300", "299", str(RESET)))
    assert public.status_code == 200
