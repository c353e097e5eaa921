"""`voxforge calls place`: a call over a real server, and what is said in it, in the terminal."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schema.rules.calls import EndReason
from schema.services import calls, endings, holding
from schema.tables import Call
from tests.app.cli.support import Process, started
from tests.app.websocket.support import listening
from tests.support import seeds
from tests.support.api import UNKNOWN, Api

TO = "+15551234567"
LINES = [
    {"role": "agent", "text": "Hi, this is Sam.", "start": 0.4, "end": 0.9},
    {"role": "callee", "text": "Yes.", "start": 1.2, "end": 1.8},
    {"role": "callee", "text": "Yes.", "start": 12.25, "end": 12.8},
]


@asynccontextmanager
async def placing(api: Api, cwd: Path, *arguments: str, agent: str | None = None) -> AsyncIterator[Process]:
    """The command, while its server runs."""
    agent = agent or (await seeds.agent(api.runtime, api.viewer)).id
    number = (await seeds.phone_number(api.runtime, api.viewer)).id
    given = ["calls", "place", "--agent", agent, "--from", number, "--to", TO, *arguments]
    async with listening(api.app) as port:
        with started(cwd, *given, url=f"http://127.0.0.1:{port}", api_key=api.key) as process:
            yield process


async def line(process: Process, pattern: str) -> Any:
    return await asyncio.to_thread(process.wait_for_line, pattern)


async def status_of(process: Process) -> int:
    return await asyncio.to_thread(process.wait, 60)


async def the_call(api: Api) -> Call:
    """The only one."""
    reads = api.runtime.snapshot(api.viewer)
    (row,) = await reads.all(reads.select(Call))
    return row


async def answered(api: Api, row: Call) -> Any:
    return await seeds.answered(api.runtime, api.viewer, row)


async def said(api: Api, held: Any, number: int) -> Any:
    async with api.runtime.transaction(api.viewer) as tx:
        (kept,) = await holding.write(tx, [holding.Said(held, LINES[:number])])
    assert kept is not None
    return kept.held


async def test_a_call_is_placed(api: Api, elsewhere: Path) -> None:
    async with placing(api, elsewhere) as it:
        status = await status_of(it)

    row = await the_call(api)
    assert (row.to_number, row.status) == (TO, "queued")
    assert (status, it.stdout, it.stderr) == (0, f"Call {row.id} to {TO} is queued.\n", "")


async def test_a_call_is_placed_for_programs(api: Api, elsewhere: Path) -> None:
    async with placing(api, elsewhere, "--json") as it:
        status = await status_of(it)

    assert status == 0
    assert json.loads(it.stdout) == (await api.get(f"/calls/{(await the_call(api)).id}")).json()


async def test_what_is_said_is_printed_turn_by_turn_until_the_call_is_over(api: Api, elsewhere: Path) -> None:
    async with placing(api, elsewhere, "--follow") as it:
        await line(it, "is queued")
        row = await the_call(api)
        held = await answered(api, row)
        await line(it, r"^Answered: human\.$")
        held = await said(api, held, 1)
        await line(it, "Hi, this is Sam")
        held = await said(api, held, 3)
        await line(it, "  12.2")
        async with api.runtime.transaction(api.viewer) as tx:
            over = await endings.ended(tx, held, reason=EndReason.CALLEE_HANGUP, ended_at=tx.now, duration_s=38.0)
        assert over is not None
        async with api.runtime.transaction(api.viewer) as tx:
            await endings.broken(tx, over)
        status = await status_of(it)

    told = it.stdout.splitlines()
    assert (status, it.stderr) == (0, "")
    assert [each for each in told if each != "The carrier has it."] == [
        f"Call {row.id} to {TO} is queued.",
        "Answered: human.",
        "   0.4  agent   Hi, this is Sam.",
        "   1.2  callee  Yes.",
        "  12.2  callee  Yes.",
        "Completed after 38 s: callee-hangup.",
        "It came to: conversation.",
        "The call could not be analysed.",
    ]


async def test_a_call_that_reaches_nobody(api: Api, elsewhere: Path) -> None:
    async with placing(api, elsewhere, "--follow") as it:
        await line(it, "is queued")
        async with api.runtime.transaction(api.viewer) as tx:
            await calls.hang_up(tx, (await the_call(api)).id)
        status = await status_of(it)

    assert status == 1
    assert it.stdout.splitlines()[1:] == ["Failed: cancelled.", "It came to: not-reached."]


async def test_ctrl_c_leaves_the_call_alone(api: Api, elsewhere: Path) -> None:
    async with placing(api, elsewhere, "--follow") as it:
        await line(it, "is queued")
        row = await the_call(api)
        await answered(api, row)
        await line(it, "Answered")
        it.signal(signal.SIGINT)
        status = await status_of(it)

    assert status == 0
    assert it.stderr == f"The call goes on: GET /api/v1/calls/{row.id} says what becomes of it.\n"
    assert (await the_call(api)).hangup_requested is False


@pytest.mark.parametrize("follow", [[], ["--follow"]])
async def test_what_is_refused(api: Api, elsewhere: Path, follow: list[str]) -> None:
    async with placing(api, elsewhere, *follow, agent=UNKNOWN) as it:
        status = await status_of(it)

    assert (status, it.stdout, it.stderr) == (1, "", f"Agent with id {UNKNOWN} not found\n")
