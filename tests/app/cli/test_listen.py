"""`voxforge listen` and `voxforge trigger`, each a process that talks to a real server."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import svix

from schema.services import keys, webhooks
from tests.app.cli.support import Process, started
from tests.app.websocket.support import listening
from tests.flows.receiver import Receiver, receiver
from tests.support import seeds
from tests.support.api import Api

CALL = "ctest0000000000000000call"
KNOWN = "call.started, call.ended, call.failed, transcript.ready, analysis.complete"


async def line(process: Process, pattern: str) -> re.Match[str]:
    return await asyncio.to_thread(process.wait_for_line, pattern)


async def said(process: Process, text: str) -> None:
    """Until it is on stderr."""
    async with asyncio.timeout(60):
        while text not in process.stderr:  # noqa: ASYNC110 (a file, which another process writes)
            await asyncio.sleep(0.02)


async def happen(api: Api, event: str = "call.ended") -> str:
    async with api.runtime.transaction(api.viewer) as tx:
        id = (await webhooks.trigger(tx, event)).id
    await api.clock.advance(1)
    return id


@asynccontextmanager
async def listener(api: Api, cwd: Path, port: int, *arguments: str) -> AsyncIterator[Process]:
    """The command, once it misses nothing any more."""
    given = {"url": f"http://127.0.0.1:{port}", "api_key": api.key}
    with started(cwd, "listen", *arguments, **given) as process:
        await said(process, "Listening to ")
        yield process


async def until_arrived(receiving: Receiver, count: int) -> list[Any]:
    return await asyncio.to_thread(receiving.wait_for, count)


async def test_each_event_is_forwarded_as_it_is_delivered_and_told(api: Api, elsewhere: Path) -> None:
    with receiver() as receiving:
        async with (
            listening(api.app) as port,
            listener(api, elsewhere, port, "--forward-to", receiving.url + "/") as it,
        ):
            secret = (await line(it, "signing secret of this session: (whsec_.+)"))[1]
            one = await happen(api)
            receiving.statuses["/"] = [500]
            told = await line(it, r"^\d\d:\d\d:\d\d  call.ended         (\S+)  (\d+)  \d+ ms$")
            await happen(api, "call.failed")
            worse = await line(it, r"call.failed        (\S+)  (\d+)  \d+ ms$")
            it.signal(signal.SIGINT)
            status = await asyncio.to_thread(it.wait)

        first, second = receiving.at("/")
    assert (told[1], worse[1]) == (CALL, CALL)
    assert sorted([told[2], worse[2]]) == ["200", "500"]
    assert first.headers["webhook-id"] == one
    assert first.headers["user-agent"].startswith("VoxForge-Webhooks/")
    assert first.json["event"] == "call.ended"
    for delivered in (first, second):
        svix.Webhook(secret).verify(delivered.body, delivered.headers)
    assert (status, it.stderr) == (0, f"Listening to http://127.0.0.1:{port} (Ctrl-C ends it)\n")


async def test_only_the_events_that_are_named_are_told(api: Api, elsewhere: Path) -> None:
    async with listening(api.app) as port, listener(api, elsewhere, port, "--events", "call.failed") as it:
        await happen(api)
        await happen(api, "call.failed")
        await line(it, f"call.failed        {CALL}$")

    assert len(it.lines) == 1


async def test_a_receiver_that_is_not_there_is_told_and_the_rest_goes_on(api: Api, elsewhere: Path) -> None:
    async with (
        listening(api.app) as port,
        listener(api, elsewhere, port, "--forward-to", "http://127.0.0.1:1/") as it,
    ):
        await happen(api)
        await line(it, r"call.ended +\S+  .*refused.*  \d+ ms$")
        await happen(api, "call.failed")
        await line(it, r"call.failed +\S+  .*refused.*  \d+ ms$")


async def test_what_happens_while_the_connection_is_lost_is_told_once_it_is_back(api: Api, elsewhere: Path) -> None:
    with receiver() as receiving:
        async with AsyncExitStack() as outlives:
            async with listening(api.app) as port:
                forwarding = listener(api, elsewhere, port, "--forward-to", receiving.url + "/")
                it = await outlives.enter_async_context(forwarding)
                before = await happen(api)
                await until_arrived(receiving, 1)
            missed = await happen(api, "call.failed")
            await said(it, "The connection was lost")
            async with listening(api.app, port=port):
                await until_arrived(receiving, 2)
                after = await happen(api)
                got = await until_arrived(receiving, 3)

    assert [one.headers["webhook-id"] for one in got] == [before, missed, after]


async def test_a_key_that_is_revoked_ends_it(api: Api, elsewhere: Path) -> None:
    async with listening(api.app) as port, listener(api, elsewhere, port) as it:
        async with api.runtime.transaction(api.viewer) as tx:
            await keys.revoke(tx, api.key_id)
        await api.clock.advance(5)
        status = await asyncio.to_thread(it.wait, 60)

    assert status == 1
    assert it.stderr.splitlines()[-1] == "Missing or invalid API key"


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        ([], {"api_key": "vf_live_no"}, "Missing or invalid API key"),
        ([], {"url": ""}, "Set VOXFORGE_URL to the address of a running server, and VOXFORGE_API_KEY to a key of it"),
        ([], {"url": "http://127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached: "),
        (["--events", "call.answered"], {}, f"events must be among {KNOWN}"),
        (
            ["--forward-to", "localhost:3000"],
            {},
            "--forward-to must be an address such as http://localhost:3000/webhook",
        ),
    ],
)
async def test_what_cannot_be_listened_to(
    api: Api, elsewhere: Path, arguments: list[str], given: dict[str, str], says: str
) -> None:
    async with listening(api.app) as port:
        where = {"url": f"http://127.0.0.1:{port}", "api_key": api.key, **given}
        with started(elsewhere, "listen", *arguments, **where) as it:
            status = await asyncio.to_thread(it.wait, 60)

    assert (status, it.stdout, it.stderr.count("\n")) == (1, "", 1)
    assert it.stderr.startswith(says)


async def trigger(api: Api, cwd: Path, *arguments: str) -> tuple[int, str, str]:
    async with listening(api.app) as port:
        with started(cwd, "trigger", *arguments, url=f"http://127.0.0.1:{port}", api_key=api.key) as it:
            status = await asyncio.to_thread(it.wait, 60)
            return status, it.stdout, it.stderr


async def test_an_event_is_triggered(api: Api, elsewhere: Path) -> None:
    await seeds.endpoint(api.runtime, api.viewer)

    status, stdout, stderr = await trigger(api, elsewhere, "call.ended")

    assert (status, stderr) == (0, "")
    assert re.fullmatch(r"call.ended has happened \(c\w{24}\): one endpoint and whoever listens are sent it.\n", stdout)


async def test_an_event_is_triggered_for_programs(api: Api, elsewhere: Path) -> None:
    status, stdout, _ = await trigger(api, elsewhere, "analysis.complete", "--json")

    assert status == 0
    assert json.loads(stdout) | {"id": ""} == {
        "id": "",
        "event": "analysis.complete",
        "createdAt": "2025-01-15T14:00:00Z",
        "deliveries": 0,
    }


async def test_an_event_that_there_is_not(api: Api, elsewhere: Path) -> None:
    said = await trigger(api, elsewhere, "call.answered")

    assert said == (1, "", f"event must be among {KNOWN}\n")
