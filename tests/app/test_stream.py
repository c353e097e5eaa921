"""`POST /graphql/stream`: answers as events, for keys and for whoever is signed in, until there is no more to tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from app import stream as route
from schema import due
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import holding, keys
from schema.tables import User
from tests.app.browsers import sign_in
from tests.app.streams import Stream, http_to
from tests.app.websocket.support import WAIT_S, listening
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, error
from tests.support.runtime import on_both

PATH = "/graphql/stream"
WATCH = "subscription($id: ID!) { callChanged(id: $id) { status } }"
TURNS = "subscription($id: ID!, $after: Int! = 0) { callTranscript(id: $id, after: $after) { number text } }"
YES = {"role": "callee", "text": "Yes.", "start": 0.4, "end": 0.9}


@asynccontextmanager
async def opened(http: httpx.AsyncClient, query: str, /, **variables: Any) -> AsyncIterator[Stream]:
    body = {"query": query, "variables": variables}
    async with http.stream("POST", PATH, json=body, timeout=WAIT_S) as response:
        assert response.status_code == 200, await response.aread()
        yield Stream(response)


async def told(stream: Stream) -> tuple[str, Any]:
    """The next event that is no comment: its type, and its data."""
    while "event" not in (block := await stream.get()):
        pass
    return block["event"], json.loads(block["data"]) if block["data"] else None


async def all_told(stream: Stream) -> list[tuple[str, Any]]:
    """Every event up to the last, after which nothing comes."""
    events = [await told(stream)]
    while events[-1][0] != "complete":
        events.append(await told(stream))
    assert await stream.ended() == []
    return events


async def said(runtime: Runtime, viewer: Viewer, held: due.Lease, *lines: dict[str, Any]) -> due.Lease:
    async with runtime.transaction(viewer) as tx:
        (kept,) = await holding.write(tx, [holding.Said(held, lines)])
    assert kept is not None
    return kept.held


@on_both
async def test_watching_a_call(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, http_to(port, api.key) as http, opened(http, WATCH, id=row.id) as stream:
        first = await told(stream)
        await seeds.done(api.runtime, api.viewer, row)
        rest = await all_told(stream)

    assert first == ("next", {"data": {"callChanged": {"status": "QUEUED"}}})
    assert rest[-2:] == [("next", {"data": {"callChanged": {"status": "COMPLETED"}}}), ("complete", None)]


@on_both
async def test_turns_are_told_though_they_are_alike_and_the_rest_after_a_cursor(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    held = await seeds.answered(api.runtime, api.viewer, row)
    alike = TURNS.replace("number text", "text")
    async with listening(api.app) as port, http_to(port, api.key) as http:
        async with opened(http, alike, id=row.id) as stream:
            held = await said(api.runtime, api.viewer, held, YES)
            turns = [await told(stream)]
            await said(api.runtime, api.viewer, held, YES, YES)
            turns.append(await told(stream))
        async with opened(http, TURNS, id=row.id, after=1) as stream:
            rest = await told(stream)

    assert turns == [("next", {"data": {"callTranscript": {"text": "Yes."}}})] * 2
    assert rest == ("next", {"data": {"callTranscript": {"number": 2, "text": "Yes."}}})


async def test_lists_begin_empty(api: Api) -> None:
    hook = await seeds.endpoint(api.runtime, api.viewer)
    async with listening(api.app) as port, http_to(port, api.key) as http:
        async with opened(http, "subscription { callsChanged { id status } }") as stream:
            first = await told(stream)
            row = await seeds.call(api.runtime, api.viewer)
            second = await told(stream)
        query = "subscription($id: ID!) { deliveryChanged(endpointId: $id) { state } }"
        async with opened(http, query, id=hook.id) as stream:
            empty = await told(stream)
            await api.post(f"/webhooks/{hook.id}/test", {})
            made = await told(stream)

    assert first == ("next", {"data": {"callsChanged": []}})
    assert second == ("next", {"data": {"callsChanged": [{"id": row.id, "status": "QUEUED"}]}})
    assert empty == ("next", {"data": {"deliveryChanged": []}})
    assert made == ("next", {"data": {"deliveryChanged": [{"state": "PENDING"}]}})


async def test_a_campaign_is_watched(api: Api) -> None:
    row = await seeds.campaign(api.runtime, api.viewer)
    query = "subscription($id: ID!) { campaignChanged(id: $id) { status callsTotal } }"
    async with listening(api.app) as port, http_to(port, api.key) as http, opened(http, query, id=row.id) as stream:
        first = await told(stream)
        await api.patch(f"/campaigns/{row.id}", {"status": "cancelled"})
        rest = await all_told(stream)

    assert first == ("next", {"data": {"campaignChanged": {"status": "ACTIVE", "callsTotal": 0}}})
    assert rest == [
        ("next", {"data": {"campaignChanged": {"status": "CANCELLED", "callsTotal": 0}}}),
        ("complete", None),
    ]


async def test_a_query_has_one_answer(api: Api) -> None:
    async with (
        listening(api.app) as port,
        http_to(port, api.key) as http,
        opened(http, "{ calls(limit: 1) { total } }") as stream,
    ):
        events = await all_told(stream)

    assert events == [("next", {"data": {"calls": {"total": 0}}}), ("complete", None)]


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("subscription {", "BAD_REQUEST", "Syntax Error: Expected Name, found <EOF>."),
        ("subscription { nothing }", "BAD_REQUEST", "Cannot query field 'nothing' on type 'Subscription'."),
        (WATCH.replace("$id)", f'"{UNKNOWN}")').replace("($id: ID!)", ""), "NOT_FOUND", f"Call with id {UNKNOWN} not"),
    ],
)
async def test_what_graphql_refuses_is_told_and_that_is_all(api: Api, query: str, code: str, message: str) -> None:
    async with listening(api.app) as port, http_to(port, api.key) as http, opened(http, query) as stream:
        (kind, answer), last = await all_told(stream)

    (refusal,) = answer["errors"]
    assert (kind, answer["data"], last) == ("next", None, ("complete", None))
    assert refusal["extensions"]["code"] == code
    assert refusal["message"].startswith(message)


async def test_what_is_refused_before_graphql_is_refused_as_everywhere(api: Api) -> None:
    get = await api.http.get(PATH)
    text = await api.http.post(PATH, content="{}", headers={"Content-Type": "text/plain"})
    query = await api.http.post(f"{PATH}?query=x", json={"query": "{ __typename }"})
    body = await api.http.post(PATH, json=[])
    stranger = await api.http.post(PATH, json={}, headers={"Authorization": "Bearer vf_live_x"})

    assert error(get) == (405, "BAD_REQUEST", f"GET is not allowed on {PATH}, only POST")
    assert error(text)[0] == 415
    assert error(query) == (400, "BAD_REQUEST", f"{PATH} takes no query parameters: send a JSON body")
    assert error(body) == (400, "BAD_REQUEST", "The request body must be one GraphQL request: batches are not taken")
    assert error(stranger)[0] == 401


async def test_a_key_that_may_not_read_calls(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    _, key = await seeds.key(api.runtime, api.viewer, scopes=[("agents", "read")])
    async with listening(api.app) as port, http_to(port, key) as http, opened(http, WATCH, id=row.id) as stream:
        (_, answer), _ = await all_told(stream)

    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


async def test_whoever_is_signed_in_may_watch_from_our_own_page_only(
    api: Api, web: httpx.AsyncClient, kim: User
) -> None:
    assert kim.workspace_id == api.viewer.workspace_id
    await sign_in(web)

    ours = await web.post(PATH, json={"query": "{ calls { total } }"})
    foreign = await web.post(
        PATH, json={"query": "{ calls { total } }"}, headers={"Origin": "https://elsewhere.example"}
    )

    assert ours.text.startswith(":\n\nevent: next\ndata: ")
    assert error(foreign)[0] == 403


async def test_it_ends_with_its_key_and_with_the_server(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    _, other = await seeds.key(api.runtime, api.viewer)
    async with AsyncExitStack() as client_side:
        async with listening(api.app) as port:
            streams = []
            for key in (api.key, other):
                http = await client_side.enter_async_context(http_to(port, key))
                streams.append(await client_side.enter_async_context(opened(http, WATCH, id=row.id)))
                await told(streams[-1])
            async with api.runtime.transaction(api.viewer) as tx:
                await keys.revoke(tx, api.key_id)
            await api.clock.advance(5)
            revoked = await streams[0].ended()
        stopped = await streams[1].ended()

    assert (revoked, stopped) == ([], [])


async def test_a_key_has_so_many_at_most(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    monkeypatch.setattr(route, "OF_CALLER", 2)
    from app.main import create_app  # noqa: PLC0415 (with the limit above)

    async with (
        listening(create_app(api.runtime)) as port,
        http_to(port, api.key) as http,
        opened(http, WATCH, id=row.id),
        opened(http, WATCH, id=row.id),
    ):
        refused = await http.post(PATH, json={"query": "{ __typename }"})

    assert error(refused) == (429, "RATE_LIMITED", "Too many GraphQL streams are open: at most 2 of an API key")


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_root_fields_count_as_requests(api: Api) -> None:
    """K5."""
    async with listening(api.app) as port, http_to(port, api.key) as http:
        async with opened(http, "{ a: __typename b: __typename c: __typename }") as stream:
            await all_told(stream)
        left = (await http.get("/api/v1/agents")).headers["x-ratelimit-remaining"]

    assert left == "56"


async def test_nothing_runs_on_for_somebody_who_has_gone(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port:
        async with http_to(port, api.key) as http, opened(http, WATCH, id=row.id) as stream:
            await told(stream)
            busy = api.clock.sleepers
        async with asyncio.timeout(WAIT_S):
            while api.clock.sleepers:  # noqa: ASYNC110 (the server's end of a socket)
                await asyncio.sleep(0.01)

    assert busy > 0
