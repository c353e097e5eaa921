"""`GET /api/v1/events` over a real socket: what is sent, from where, to whom, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app import server_sent_events
from app.events import OF_KEY
from schema.services import keys, webhooks
from schema.tables import Event
from tests.app.streams import Stream, http_to
from tests.app.websocket.support import WAIT_S, listening
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, error
from tests.support.runtime import on_both

PATH = "/api/v1/events"


@asynccontextmanager
async def opened(http: httpx.AsyncClient, path: str = PATH, **given: Any) -> AsyncIterator[Stream]:
    """A stream that has begun: what happens from now on is told."""
    async with http.stream("GET", path, timeout=WAIT_S, **given) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        stream.begins = await stream.get()
        assert stream.begins["retry"] == "2000"
        yield stream


async def happen(api: Api, event: str = "call.ended") -> str:
    async with api.runtime.transaction(api.viewer) as tx:
        return (await webhooks.trigger(tx, event)).id


async def bodies(api: Api) -> dict[str, str]:
    return {row.id: bytes(row.body).decode() for row in await api.runtime.database.read(select(Event))}


@on_both
async def test_what_happens_is_sent_as_it_is_delivered(api: Api) -> None:
    async with listening(api.app) as port, http_to(port, api.key) as http, opened(http) as stream:
        one = await happen(api)
        block = await stream.get()

    assert block == {"id": one, "event": "call.ended", "data": (await bodies(api))[one]}


async def test_its_headers_are_those_of_a_stream_and_of_every_answer(api: Api) -> None:
    async with listening(api.app) as port, http_to(port, api.key) as http, opened(http) as stream:
        headers = stream.response.headers

    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-request-id"]
    assert headers["x-ratelimit-remaining"] == "299"
    assert "content-length" not in headers


async def test_whoever_reconnects_gets_what_was_missed(api: Api) -> None:
    async with listening(api.app) as port, http_to(port, api.key) as http:
        async with opened(http) as stream:
            last = await happen(api)
            assert (await stream.get())["id"] == last
        missed = [await happen(api), await happen(api, "call.failed")]

        async with opened(http, headers={"Last-Event-ID": last}) as stream:
            blocks = [await stream.get(), await stream.get()]

    assert [block["id"] for block in blocks] == missed


async def test_whoever_is_cut_off_before_anything_happens_misses_nothing_either(api: Api) -> None:
    async with listening(api.app) as port, http_to(port, api.key) as http:
        async with opened(http) as stream:
            place = stream.begins["id"]
        missed = await happen(api)

        async with opened(http, headers={"Last-Event-ID": place}) as stream:
            block = await stream.get()

    assert block["id"] == missed
    assert stream.begins["id"] == place


async def test_only_the_events_that_are_named(api: Api) -> None:
    async with (
        listening(api.app) as port,
        http_to(port, api.key) as http,
        opened(http, f"{PATH}?events=call.failed,call.started") as stream,
    ):
        await happen(api, "call.ended")
        await happen(api, "call.failed")
        await api.clock.advance(1)
        block = await stream.get()

    assert block["event"] == "call.failed"


@pytest.mark.parametrize(
    ("query", "last", "message"),
    [
        (
            "events=call.answered",
            "",
            "events must be among call.started, call.ended, call.failed, transcript.ready, analysis.complete",
        ),
        (
            "events=",
            "",
            "events must be among call.started, call.ended, call.failed, transcript.ready, analysis.complete",
        ),
        ("events=call.ended&events=call.ended", "", "Query parameter 'events' was given more than once"),
        ("limit=1", "", "Unknown query parameter 'limit'"),
        ("", "42", "Last-Event-ID must be the id of an event"),
    ],
)
async def test_what_is_wrong_is_said_before_it_begins(api: Api, query: str, last: str, message: str) -> None:
    """R7."""
    response = await api.get(f"/events?{query}", headers={"Last-Event-ID": last})

    assert error(response) == (400, "BAD_REQUEST", message)


async def test_it_takes_a_key_that_may_read_webhooks(api: Api) -> None:
    _, calls_only = await seeds.key(api.runtime, api.viewer, scopes=[("calls", "write")])

    stranger = await api.get("/events", headers={"Authorization": "Bearer vf_live_x"})
    forbidden = await api.get("/events", headers={"Authorization": f"Bearer {calls_only}"})

    assert error(stranger) == (401, "UNAUTHORIZED", "Missing or invalid API key")
    assert error(forbidden) == (403, "FORBIDDEN", "This API key lacks permission to read webhooks")


async def test_another_workspace_is_told_nothing(api: Api, other: Api) -> None:
    async with listening(api.app) as port, http_to(port, other.key) as http, opened(http) as stream:
        await happen(api)
        await api.clock.advance(1)
        own = await happen(other)
        block = await stream.get()

    assert block["id"] == own


async def test_a_head_request_has_an_end(api: Api) -> None:
    response = await api.http.head(PATH)

    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")


async def test_silence_is_broken_by_a_comment(api: Api) -> None:
    async with listening(api.app) as port, http_to(port, api.key) as http, opened(http) as stream:
        await api.clock.advance(server_sent_events.HEARTBEAT_S)
        block = await stream.get()
        one = await happen(api)
        after = await stream.get()

    assert block == {"": ""}
    assert after["id"] == one


async def test_a_key_has_ten_at_most(api: Api, other: Api) -> None:
    async with listening(api.app) as port, http_to(port, api.key) as http, AsyncExitStack() as streams:
        for _ in range(OF_KEY):
            last = await streams.enter_async_context(opened(http))
        refused = await http.get(PATH)
        async with http_to(port, other.key) as theirs, opened(theirs):
            pass
        await last.response.aclose()
        await api.clock.advance(1)
        async with asyncio.timeout(WAIT_S):
            while (again := await first_status(http)) == 429:
                pass

    assert error(refused) == (429, "RATE_LIMITED", "Too many event streams are open: at most 10 of an API key")
    assert refused.headers["retry-after"] == "10"
    assert again == 200


async def first_status(http: httpx.AsyncClient) -> int:
    async with http.stream("GET", PATH) as response:
        return response.status_code


async def test_it_ends_soon_after_its_key(api: Api) -> None:
    """K4."""
    async with listening(api.app) as port, http_to(port, api.key) as http, opened(http) as stream:
        async with api.runtime.transaction(api.viewer) as tx:
            await keys.revoke(tx, api.key_id)
        await api.clock.advance(5)
        said = await stream.ended()
        again = await http.get(PATH)

    assert said == []
    assert again.status_code == 401


async def test_it_ends_when_the_server_stops(api: Api) -> None:
    async with AsyncExitStack() as client_side:
        async with listening(api.app) as port:
            http = await client_side.enter_async_context(http_to(port, api.key))
            stream = await client_side.enter_async_context(opened(http))
        said = await stream.ended()

    assert said == []


async def test_whoever_does_not_read_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent_events, "SLOW_S", 0.2)
    monkeypatch.setattr(server_sent_events, "event", lambda *_, **__: b"x" * 8_000_000)
    from app import events as route  # noqa: PLC0415

    monkeypatch.setattr(route, "event", lambda *_, **__: b"x" * 8_000_000)
    async with listening(api.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\n\r\n".encode())
        async with asyncio.timeout(WAIT_S):
            await reader.readuntil(b"retry: 2000")
        for _ in range(3):
            await happen(api)
            await api.clock.advance(1)
        await asyncio.sleep(1)

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(WAIT_S):
                await reader.readexactly(24_000_000)
        writer.close()


async def test_opening_it_is_one_request(api: Api) -> None:
    """K5."""
    async with listening(api.app) as port, http_to(port, api.key) as http:
        async with opened(http) as stream:
            for _ in range(3):
                await happen(api)
                await api.clock.advance(0.1)
                await stream.get()
        after = await http.get(f"/api/v1/calls/{UNKNOWN}")

    assert after.headers["x-ratelimit-remaining"] == "298"
