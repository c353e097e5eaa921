"""How long a campaign goes on dialing after its pause was asked for: `scripts/bench/run pause`.

A campaign of short calls is dialed as fast as its slots allow, then paused and resumed again and again at seeded
moments. Each time: from sending the PATCH to the last dial in the sandbox carrier's own ledger before the campaign is
resumed; a pause that nothing was dialed after counts as 0.
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
from goals import Figure, at_least, at_most, percentile, show, write
from installing import Installation, installed
from measuring import machine_load
from processes import Unwell

from tests.support.servers import run_postgres, run_redis

CONTACTS = 20_000
AT_ONCE = 100
SPEED = 50.0
GOAL_S = 1.0
_WATCHED_S = 2.0  # after each pause: longer than the goal, so that what comes too late is seen
_BUSY_S = (0.5, 1.5)  # dialing between two pauses
_STARTS_WITHIN_S = 30.0


class Ledger:
    """The sandbox carrier's own dials, by its clock, which is this machine's."""

    def __init__(self, running: Installation) -> None:
        self._path = running.data / "sandbox.db"

    def last_between(self, begin: float, end: float) -> float | None:
        """The last dial of that time, None if there was none."""
        with sqlite3.connect(f"file:{self._path}?mode=ro", uri=True) as ledger:
            at: float | None = ledger.execute(
                "SELECT max(at) FROM dials WHERE at > ? AND at < ?", (begin, end)
            ).fetchone()[0]
        return at

    def since(self, begin: float) -> int:
        """How many dials since then; 0 before there is a ledger."""
        with suppress(sqlite3.OperationalError), sqlite3.connect(f"file:{self._path}?mode=ro", uri=True) as ledger:
            return int(ledger.execute("SELECT count(*) FROM dials WHERE at > ?", (begin,)).fetchone()[0])
        return 0


async def _measure(running: Installation, name: str, options: argparse.Namespace) -> list[Figure]:
    headers = {"Authorization": f"Bearer {running.api_key}"}
    ledger, chance = Ledger(running), random.Random(options.seed)
    took: list[float] = []
    answered: list[float] = []
    async with aiohttp.ClientSession(running.url, headers=headers) as client:
        campaign = await _campaign(running, client)
        busy_s = 0.0
        dialed = 0
        for _ in range(options.pauses):
            begun = time.time()
            await _ask(client, "PATCH", f"/campaigns/{campaign}", {"status": "active"})
            await _until_dialing(running, ledger, begun)
            await asyncio.sleep(chance.uniform(*_BUSY_S))
            asked = time.time()
            await _ask(client, "PATCH", f"/campaigns/{campaign}", {"status": "paused"})
            answered.append(time.time() - asked)
            busy_s += asked - begun
            await asyncio.sleep(_WATCHED_S)
            last = ledger.last_between(asked, time.time())
            took.append(0.0 if last is None else last - asked)
            dialed += ledger.since(begun)
    return [
        at_least(f"{name}: dials/s between the pauses", dialed / busy_s, 1),
        Figure(f"{name}: the PATCH itself answered, p50 / max", f"{_ms(answered, 0.5)} / {_ms(answered, 1)}"),
        Figure(f"{name}: last dial after it was asked for, p50", _ms(took, 0.5)),
        at_most(f"{name}: the same, the latest of {len(took)}", max(took), GOAL_S, "s"),
    ]  # fmt: skip


async def _campaign(running: Installation, client: aiohttp.ClientSession) -> str:
    """A campaign that lasts longer than the measurement, with contacts that hang up soon."""
    numbers = [f"+1{200 + i // 10_000}{200 + i % 10_000 // 100}55{i % 100:02d}" for i in range(CONTACTS)]
    table = "\n".join(["phoneNumber", *numbers])
    async with client.post("/api/v1/contacts/import", data=table, headers={"Content-Type": "text/csv"}) as answer:
        if answer.status != 200:
            raise Unwell(f"the contacts were answered with {answer.status}: {await answer.text()}")
    made = await _ask(client, "POST", "/campaigns", {
        "name": "Everybody", "agentId": running.agent_id, "phoneNumberId": running.phone_number_id,
        "maxConcurrentCalls": AT_ONCE,
    })  # fmt: skip
    await _ask(client, "POST", f"/campaigns/{made['id']}/contacts", {"all": True})
    return str(made["id"])


async def _ask(client: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any]) -> Any:
    async with client.request(method, f"/api/v1{path}", json=body) as answer:
        if answer.status >= 300:
            raise Unwell(f"{method} {path} was answered with {answer.status}: {await answer.text()}")
        return await answer.json()


async def _until_dialing(running: Installation, ledger: Ledger, begun: float) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while not ledger.since(begun):
        running.check()
        if time.monotonic() > deadline:
            raise Unwell(f"nothing was dialed within {_STARTS_WITHIN_S:.0f} s of resuming")
        await asyncio.sleep(0.02)


def _ms(values: list[float], share: float) -> str:
    return f"{percentile(values, share) * 1000:.0f} ms"


def main() -> None:
    """Measure and report; a goal that is missed is an error."""
    parser = argparse.ArgumentParser(prog="scripts/bench/run pause", description=__doc__)
    parser.add_argument("--mode", choices=("embedded", "scaled", "both"), default="both")
    parser.add_argument("--pauses", type=int, default=20, help="in each mode (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the pauses (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    options = parser.parse_args()
    figures: list[Figure] = []
    title = f"A campaign's pause, {AT_ONCE} calls at the same time; {machine_load()}"
    given = {"VOXFORGE_SANDBOX_SPEED": str(SPEED)}
    try:
        if options.mode != "scaled":
            with installed(given) as running:
                figures += asyncio.run(_measure(running, "embedded", options))
        if options.mode != "embedded":
            with ExitStack() as stack:
                database = stack.enter_context(run_postgres()).create_database()
                backends = {"VOXFORGE_DATABASE_URL": database, "VOXFORGE_REDIS_URL": stack.enter_context(run_redis())}
                running = stack.enter_context(installed(given | backends, scaled=True))
                figures += asyncio.run(_measure(running, "scaled", options))
    except Unwell as failure:
        sys.exit(str(failure))
    write(options.json, title, figures)
    sys.exit(0 if show(title, figures) else 1)


if __name__ == "__main__":
    main()
