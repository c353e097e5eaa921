"""`voxforge work`: workers without a server, on what a server without workers has queued."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx

from schema.runtime import Runtime
from schema.services import seed
from schema.services.seed import Seed
from schema.settings import load_settings
from schema.version import VERSION
from tests.app.cli.support import started, wait_until


def test_it_starts_and_stops(migrated: Path) -> None:
    with started(migrated.parent, "work", "--processes", "2", "--threads", "1") as workers:
        workers.wait_for_line(r"2 processes work ")
        assert workers.stop() == 0

    assert workers.stdout == f"VoxForge {VERSION}: 2 processes work (Ctrl-C stops them)\n"


async def plant() -> Seed:
    runtime = Runtime.open(load_settings())
    try:
        planted = await seed.plant(runtime)
    finally:
        await runtime.close()
    assert planted is not None
    return planted


def test_the_work_of_a_server(migrated: Path) -> None:
    planted = asyncio.run(plant())
    here = migrated.parent
    order = {"agentId": planted.agent_id, "phoneNumberId": planted.phone_number_id, "to": planted.callee}
    headers = {"Authorization": f"Bearer {planted.api_key}"}
    with started(here, "serve", "--port", "0") as server, started(here, "work", sandbox_speed="200") as workers:
        address = server.wait_until_ready()
        workers.wait_for_line(r"One process works ")
        with httpx.Client(base_url=f"{address}/api/v1", headers=headers) as client:
            call = client.post("/calls", json=order).raise_for_status().json()

            def status() -> str:
                return client.get(f"/calls/{call['id']}").raise_for_status().json()["status"]

            wait_until(lambda: status() == "completed", "the call to be over", every_s=0.3)
        workers.signal(signal.SIGINT)
        assert (server.stop(), workers.wait()) == (0, 0)
