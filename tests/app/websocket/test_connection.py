"""The messages of `graphql-transport-ws`, and what each wrong one costs (decision 0015)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.websocket.connection import MAX_OPERATIONS
from schema.rules.plans import Plan
from schema.services import agents, watching
from schema.services.keys import BAD_KEY
from schema.tables import ApiKey, Call
from tests.app.websocket.support import listening, opened
from tests.support import seeds
from tests.support.api import UNKNOWN, Api
from tests.support.runtime import on_both

WATCH = "subscription($id: ID!) { callChanged(id: $id) { status agent { name } } }"


def refusal(message: Any) -> tuple[str, str, str]:
    """Id, message and code of an `error` message's only error."""
    assert message["type"] == "error", message
    (wrong,) = message["payload"]
    return message["id"], wrong["message"], wrong["extensions"]["code"]


async def test_whoever_says_nothing_is_closed_after_ten_seconds(api: Api) -> None:
    async with listening(api.app) as port, opened(port) as peer:
        await peer.send("ping")
        await peer.get()
        await api.clock.advance(9.9)
        await peer.send("ping")
        alive = await peer.get()
        await api.clock.advance(0.1)

        assert alive == {"type": "pong"}
        assert await peer.closed() == (4408, "Connection initialisation timeout")


async def test_whoever_has_said_it_may_stay(api: Api) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await api.clock.advance(60)

        assert await peer.ask("{ agents { total } }") == {"data": {"agents": {"total": 0}}}


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
async def test_a_key_in_the_payload(api: Api, name: str) -> None:
    async with listening(api.app) as port, opened(port) as peer:
        await peer.send("connection_init", payload={name: f"Bearer {api.key}", "other": 1})

        assert await peer.get() == {"type": "connection_ack"}
        assert await peer.ask("{ workspace { name } }") == {"data": {"workspace": {"name": "Acme"}}}


@pytest.mark.parametrize(
    ("payload", "closed"),
    [
        (None, (4401, BAD_KEY)),
        ({}, (4401, BAD_KEY)),
        ({"authorization": "vf_live_x"}, (4401, BAD_KEY)),
        ({"authorization": "Bearer vf_live_x"}, (4401, BAD_KEY)),
        ({"authorization": "Bearer a", "Authorization": "Bearer b"}, (4401, BAD_KEY)),
        ({"authorization": 5}, (4400, "authorization must be a string")),
        ([], (4400, "The payload of connection_init must be an object")),
        ("x", (4400, "The payload of connection_init must be an object")),
    ],
)
async def test_a_payload_without_a_good_key(api: Api, payload: Any, closed: tuple[int, str]) -> None:
    async with listening(api.app) as port, opened(port) as peer:
        await peer.send("connection_init", payload=payload)

        assert await peer.closed() == closed


async def test_a_second_init(api: Api) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.send("connection_init")

        assert await peer.closed() == (4429, "Too many initialisation requests")


async def test_asking_before_the_init(api: Api) -> None:
    """Also with a good key in the header."""
    headers = {"Authorization": f"Bearer {api.key}"}
    async with listening(api.app) as port, opened(port, additional_headers=headers) as peer:
        await peer.subscribe("a", "{ agents { total } }")

        assert await peer.closed() == (4401, "Unauthorized")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"{}", "Messages must be text"),
        ("", "Messages must be valid JSON, nested no deeper than 32 levels"),
        ("{", "Messages must be valid JSON, nested no deeper than 32 levels"),
        ("[" * 40 + "]" * 40, "Messages must be valid JSON, nested no deeper than 32 levels"),
        ("[]", "A message must be an object with a type"),
        ("{}", "A message must be an object with a type"),
        ('{"type": 5}', "A message must be an object with a type"),
        ('{"type": "start"}', "Unknown message type"),
        ('{"type": "next", "id": "a"}', "Unknown message type"),
        ('{"type": "subscribe", "payload": {}}', "id must be a string of 1 to 128 characters"),
        ('{"type": "subscribe", "id": ""}', "id must be a string of 1 to 128 characters"),
        (json.dumps({"type": "subscribe", "id": "x" * 129}), "id must be a string of 1 to 128 characters"),
        ('{"type": "subscribe", "id": 1}', "id must be a string of 1 to 128 characters"),
        ('{"type": "complete"}', "id must be a string of 1 to 128 characters"),
        ('{"type": "subscribe", "id": "a"}', "The payload of subscribe must be an object"),
        ('{"type": "subscribe", "id": "a", "payload": []}', "The payload of subscribe must be an object"),
    ],
)
async def test_what_is_no_message(api: Api, sent: bytes | str, reason: str) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.socket.send(sent)

        assert await peer.closed() == (4400, reason)


async def test_an_id_is_used_once_at_a_time(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.subscribe("a", WATCH, id=row.id)
        await peer.get()
        await peer.subscribe("a", "{ agents { total } }")

        assert await peer.closed() == (4409, "Subscriber for a already exists")


async def test_an_id_is_free_after_its_end(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, api.key) as peer:
        for _ in range(3):
            await peer.subscribe("a", WATCH, id=row.id)
            answer = await peer.get()
            await peer.send("complete", id="a")

        assert answer["type"] == "next"
        assert await peer.ask("{ __typename }") == {"data": {"__typename": "Query"}}


async def test_completing_what_is_not_there_is_nothing(api: Api) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.send("complete", id="never")

        assert await peer.ask("{ __typename }") == {"data": {"__typename": "Query"}}


async def test_so_many_operations_at_once(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, api.key) as peer:
        for number in range(MAX_OPERATIONS):
            await peer.subscribe(str(number), WATCH, id=row.id)
            await peer.get()
        await peer.subscribe("more", "{ __typename }")
        more = await peer.get()
        await peer.send("complete", id="7")
        room = await peer.ask("{ __typename }")

    assert MAX_OPERATIONS == 25
    assert refusal(more) == ("more", "At most 25 operations run on a connection at once", "RATE_LIMITED")
    assert room == {"data": {"__typename": "Query"}}


@on_both
async def test_a_mutation(api: Api) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer:
        made = await peer.ask('mutation { createAgent(input: {name: "Sam", systemPrompt: "Be kind."}) { name } }')
        read = await peer.ask("{ agents { nodes { name } } }")

    assert made == {"data": {"createAgent": {"name": "Sam"}}}
    assert read == {"data": {"agents": {"nodes": [{"name": "Sam"}]}}}


async def test_errors_beside_data(api: Api) -> None:
    async with listening(api.app) as port, opened(port, api.key) as peer:
        answer = await peer.ask("query($id: ID!) { agent(id: $id) { id } workspace { name } }", id=UNKNOWN)

    assert answer["data"] == {"agent": None, "workspace": {"name": "Acme"}}
    assert answer["errors"][0]["message"] == f"Agent with id {UNKNOWN} not found"
    assert answer["errors"][0]["extensions"] == {"code": "NOT_FOUND"}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({}, "query is required"),
        ({"query": "{ x }", "id": 1}, "Unknown field 'id'"),
        ({"query": "{ agents {"}, "Syntax Error: Expected Name, found <EOF>."),
        ({"query": "{ moods }"}, "Cannot query field 'moods' on type 'Query'."),
        ({"query": "{ agents { total } }", "operationName": "B"}, "There is no operation named 'B' in the query"),
        ({"query": "query($a: ID!) { agent(id: $a) { id } }", "variables": {"a": "\0"}}, "variables cannot contain"),
        ({"query": "{ a { " + "b { " * 20 + "c" + " }" * 22}, "The query is nested deeper than 10 levels"),
        (
            {"query": "{ calls(limit: 100) { nodes { transcript { text role start end } } } }"},
            "The query could cost ",
        ),
        ({"query": "subscription { a: callChanged(id: 1) { id } b: callChanged(id: 2) { id } }"}, "Anonymous Subscr"),
    ],
)
async def test_what_is_refused_before_it_runs(api: Api, payload: Any, message: str) -> None:
    """The same limits as over POST, and the connection stays."""
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.send("subscribe", id="a", payload=payload)
        answer = await peer.get()
        after = await peer.ask("{ __typename }")

    id, told, code = refusal(answer)
    assert (id, code) == ("a", "BAD_REQUEST")
    assert told.startswith(message)
    assert after == {"data": {"__typename": "Query"}}


async def test_scopes_hold_here_too(api: Api) -> None:
    """K2."""
    row = await seeds.call(api.runtime, api.viewer)
    await api.set(ApiKey, api.key_id, scopes={"contacts": "read"})
    async with listening(api.app) as port, opened(port, api.key) as peer:
        query = await peer.ask("{ calls { total } }")
        await peer.subscribe("a", WATCH, id=row.id)
        watching = await peer.get()

    assert query["errors"][0]["message"] == "This API key lacks permission to read calls"
    assert watching["payload"][0]["extensions"] == {"code": "FORBIDDEN"}


async def test_another_workspace_s_call(api: Api, other: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, other.key) as peer:
        await peer.subscribe("a", WATCH, id=row.id)

        assert refusal(await peer.get()) == ("a", f"Call with id {row.id} not found", "NOT_FOUND")


async def test_a_crash_is_masked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """E4."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(agents, "list_page", broken)
    headers = {"X-Request-Id": "order-4711", "Authorization": f"Bearer {api.key}"}
    async with listening(api.app) as port, opened(port, additional_headers=headers) as peer:
        await peer.send("connection_init")
        await peer.get()
        answer = await peer.ask("{ agents { total } }")

    assert answer["errors"][0]["message"] == "Something went wrong on our end (request order-4711)"
    assert answer["errors"][0]["extensions"] == {"code": "INTERNAL_ERROR"}


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_each_root_field_is_a_request_of_the_key_s_minute(api: Api, plan: Plan) -> None:
    """K5: together with what the key asks over HTTP."""
    async with listening(api.app) as port, opened(port, api.key) as peer:
        answers = [await peer.ask("{ a: __typename b: __typename c: __typename }") for _ in range(19)]
        http = await api.get("/agents")
        await peer.ask("{ a: __typename b: __typename }")
        await peer.subscribe("more", "{ __typename }")
        more = await peer.get()
        await api.clock.advance(60)
        next_minute = await peer.ask("{ __typename }")

    assert len(answers) == 19
    assert http.headers["x-ratelimit-remaining"] == "2"
    assert refusal(more)[2] == "RATE_LIMITED"
    assert more["payload"][0]["extensions"]["retryAfter"] == 60
    assert next_minute == {"data": {"__typename": "Query"}}


@on_both
async def test_watching_a_call(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.subscribe("a", "subscription($id: ID!) { callChanged(id: $id) { status outcome } }", id=row.id)
        first = await peer.get()
        await seeds.done(api.runtime, api.viewer, row)
        last = None
        while (message := await peer.get())["type"] == "next":
            last = message["payload"]["data"]["callChanged"]

    assert first["payload"] == {"data": {"callChanged": {"status": "QUEUED", "outcome": None}}}
    assert last == {"status": "COMPLETED", "outcome": "INTERESTED"}
    assert message == {"id": "a", "type": "complete"}


async def test_what_was_not_asked_for_is_no_news(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.subscribe("a", "subscription($id: ID!) { callChanged(id: $id) { status } }", id=row.id)
        first = await peer.get()
        async with api.runtime.transaction(api.viewer) as tx:
            (await tx.lock(Call, row.id)).summary = "Nothing yet."
            watching.changed(tx, row.id)
        reading = asyncio.ensure_future(peer.get())
        done, _ = await asyncio.wait({reading}, timeout=0.3)  # time enough to tell it again
        await seeds.submitted(api.runtime, api.viewer, row)
        second = await reading

    assert not done
    states = [message["payload"]["data"]["callChanged"]["status"] for message in (first, second)]
    assert states == ["QUEUED", "IN_PROGRESS"]


async def test_each_answer_reads_what_it_refers_to_anew(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port, opened(port, api.key) as peer:
        await peer.subscribe("a", WATCH, id=row.id)
        await peer.get()
        async with api.runtime.transaction(api.viewer) as tx:
            await agents.update(tx, row.agent_id, {"name": "Max"})
        await seeds.dialed(api.runtime, api.viewer, row)
        second = await peer.get()

    assert second["payload"]["data"]["callChanged"]["agent"] == {"name": "Max"}


async def test_nothing_runs_on_for_somebody_who_has_gone(api: Api) -> None:
    row = await seeds.call(api.runtime, api.viewer)
    async with listening(api.app) as port:
        async with opened(port, api.key) as peer:
            await peer.subscribe("a", WATCH, id=row.id)
            await peer.get()
            busy = api.clock.sleepers

        await api.clock.advance(2)

    assert busy
    assert api.clock.sleepers == 0
