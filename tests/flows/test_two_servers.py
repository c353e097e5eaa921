"""Two servers over one database: whichever a request reaches, it is the same service (decisions K4, K5, L3)."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

from schema.rules.plans import PLANS, Plan
from schema.runtime import Runtime, Viewer
from schema.services import keys
from tests.app.websocket.support import opened
from tests.flows.servers import AGENT, Installation, caller, place, until_over
from tests.support import seeds
from tests.support.runtime import settings_for

T = TypeVar("T")


def made(scaled: Installation, make: Callable[[Runtime], Awaitable[T]]) -> T:
    """What an operator's command makes, without the seconds that a command takes to start."""

    async def run() -> T:
        settings = settings_for(scaled.data, database_url=scaled.settings["VOXFORGE_DATABASE_URL"])
        runtime = Runtime.open(settings)
        try:
            return await make(runtime)
        finally:
            await runtime.close()

    return asyncio.run(run())


def agents_made(url: str) -> float:
    """How many agents that server has made, by its own count."""
    figures = httpx.get(f"{url}/metrics").text
    found = re.search(
        r'^voxforge_http_requests_total{method="POST",route="/api/v1/agents",status="201"} (.+)$', figures, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def test_the_flows_talk_to_both_in_turn(scaled: Installation) -> None:
    before = [agents_made(url) for url in scaled.urls]

    with scaled.client() as client:
        for _ in range(4):
            client.post("/agents", json=AGENT)

    assert [agents_made(url) for url in scaled.urls] == [count + 2 for count in before]


def test_each_shows_at_once_what_the_other_wrote(scaled: Installation) -> None:
    first, second = (scaled.client(url) for url in scaled.urls)
    with first, second:
        created = first.post("/agents", json=AGENT)
        path = f"/agents/{created.json()['id']}"

        found = second.get(path)
        changed = second.patch(path, json={"name": "Renamed"})
        read = first.get(path)
        deleted = first.delete(path)
        gone = second.get(path)

    assert (created.status_code, found.json()) == (201, created.json())
    assert (read.json()["name"], read.json()) == ("Renamed", changed.json())
    assert (deleted.status_code, gone.status_code) == (204, 404)


def test_a_link_to_a_recording_plays_at_either(scaled: Installation) -> None:
    """Decision L3: they share the recordings, and the secret that signs the links."""
    first, second = scaled.urls
    with scaled.client(first) as client:
        id = place(client, caller(client), "+12025550101")
        link = httpx.URL(until_over(client, [id])[id]["recordingUrl"])

    answers = [httpx.get(httpx.URL(url).join(link.raw_path.decode())) for url in (first, second)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content


def test_a_key_has_its_minute_once_for_both(scaled: Installation) -> None:
    """Decision K5: both are asked at the same time for more than the plan allows."""
    limit = PLANS[Plan.STARTER].requests_per_minute
    assert limit is not None

    async def starter(runtime: Runtime) -> str:
        return (await seeds.key(runtime, await seeds.workspace(runtime, plan=Plan.STARTER)))[1]

    key = made(scaled, starter)

    def ask(url: str) -> list[httpx.Response]:
        with scaled.client(url, key=key) as client:
            return [client.get("/agents") for _ in range(limit + 5)]  # so that one minute, if not both, has too many

    with ThreadPoolExecutor(2) as pool:
        answers = [answer for each in pool.map(ask, scaled.urls) for answer in each]
    minutes: defaultdict[str, list[httpx.Response]] = defaultdict(list)
    for answer in answers:
        minutes[answer.headers["x-ratelimit-reset"]].append(answer)

    assert {answer.status_code for answer in answers} == {200, 429}
    for minute in minutes.values():
        left = sorted(int(one.headers["x-ratelimit-remaining"]) for one in minute if one.status_code == 200)
        assert left == list(range(limit))[-len(minute) :]  # each but once, whoever gave it out


def test_a_key_revoked_at_one_is_refused_by_the_other(scaled: Installation) -> None:
    """Decision K4: within 1 s where it was revoked, within 5 s elsewhere."""
    first, second = scaled.urls

    async def manager(runtime: Runtime) -> tuple[str, str, str]:
        viewer = await seeds.workspace(runtime)
        row, revoked = await seeds.key(runtime, viewer)
        _, manages = await _with_scopes(runtime, viewer, {"api-keys": "write"})
        return row.id, revoked, manages

    id, revoked, manages = made(scaled, manager)
    query = {"query": "mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }", "variables": {"id": id}}
    with scaled.client(first, key=manages) as operator:
        with scaled.client(key=revoked) as client:
            used = [client.get("/agents").status_code for _ in scaled.urls]
        answer = operator.post(operator.base_url.join("/graphql"), json=query)
        at = time.monotonic()

    assert used == [200, 200]
    assert answer.json()["data"]["revokeApiKey"]["revokedAt"] is not None
    for url, within_s in ((first, 1), (second, 5)):
        with scaled.client(url, key=revoked) as client:
            while client.get("/agents").status_code != 401:
                assert time.monotonic() - at < within_s


def test_a_call_placed_at_one_is_watched_at_the_other_while_it_lives(scaled: Installation) -> None:
    """Subscriptions hear of what the workers commit through Redis, whichever server they are at."""
    first, second = scaled.urls

    async def watched(id: str) -> list[str]:
        seen = []
        async with opened(httpx.URL(second).port or 0, scaled.key) as peer:
            await peer.subscribe("1", "subscription($id: ID!) { callChanged(id: $id) { status } }", id=id)
            while (message := await peer.get())["type"] == "next":
                seen.append(message["payload"]["data"]["callChanged"]["status"])
            assert message == {"id": "1", "type": "complete"}
        return seen

    with scaled.client(first) as client:
        id = place(client, caller(client), "+12025550101")
    seen = asyncio.run(watched(id))

    in_order = list(dict.fromkeys(seen))
    assert in_order[-2:] == ["IN_PROGRESS", "COMPLETED"]
    assert seen == sorted(seen, key=in_order.index)


def test_whoever_watches_at_one_is_cut_off_when_the_key_is_revoked_at_the_other(scaled: Installation) -> None:
    """Decision K4: within 5 s."""
    second = scaled.urls[1]

    async def watcher(runtime: Runtime) -> tuple[str, str, str]:
        viewer = await seeds.workspace(runtime)
        row, text = await seeds.key(runtime, viewer)
        call = await seeds.call(runtime, viewer, to="+12025550101", due_at=None)
        return row.id, text, call.id

    async def cut_off(key_id: str, key: str, call: str) -> tuple[int, float]:
        async with opened(httpx.URL(second).port or 0, key) as peer:
            await peer.subscribe("1", "subscription($id: ID!) { callChanged(id: $id) { status } }", id=call)
            assert (await peer.get())["type"] == "next"
            await asyncio.to_thread(scaled.run, "keys", "revoke", key_id)
            at = time.monotonic()
            code, _ = await peer.closed()
            return code, time.monotonic() - at

    code, took_s = asyncio.run(cut_off(*made(scaled, watcher)))

    assert code == 4401
    assert took_s < 5


async def _with_scopes(runtime: Runtime, viewer: Viewer, scopes: dict[str, Any]) -> tuple[str, str]:
    async with runtime.transaction(viewer) as tx:
        row, text = await keys.create(tx, {"name": "Manager"})
        row.scopes = scopes
        return row.id, text
