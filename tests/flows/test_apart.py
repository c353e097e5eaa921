"""A server needs no code of the workers, and a worker none of the server's: each lives where the other's is refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from schema import migrations
from schema.runtime import Runtime
from schema.services import seed
from schema.services.seed import Seed
from tests.flows.conftest import DEVELOPMENT
from tests.flows.servers import Installation, listen_at, until_over
from tests.support.runtime import settings_for
from tests.test_dependencies import imported

WORKERS_ALONE = {"workers", *(imported("workers") - imported("app", "schema"))}
WEB_ALONE = {
    "app.graphql",
    "app.main",
    "app.openapi",
    "app.rest",
    "app.serving",
    "schema.graph",
    "graphql",
    "httptools",
    "prometheus_client",
    "starlette",
    "strawberry",
    "uvicorn",
    "websockets",
}


def refusing(modules: set[str]) -> dict[str, str]:
    """The environment of a Python that refuses to import those; its children inherit it."""
    return {"PYTHONPATH": str(Path(__file__).parent / "refusing"), "REFUSED_MODULES": " ".join(modules)}


@pytest.fixture
def apart(tmp_path: Path, postgres_url: str, redis_server: str) -> Iterator[Installation]:
    """A scaled installation of which nothing has been started."""
    backends = {"VOXFORGE_DATABASE_URL": postgres_url, "VOXFORGE_REDIS_URL": redis_server}
    installation = Installation(tmp_path / "data", DEVELOPMENT | backends, scaled=True)
    yield installation
    installation.stop()


async def plant(installation: Installation) -> Seed:
    """A migrated database with a key, an agent and a number."""
    settings = settings_for(installation.data, database_url=installation.settings["VOXFORGE_DATABASE_URL"])
    await migrations.upgrade(settings)
    runtime = Runtime.open(settings)
    try:
        planted = await seed.plant(runtime)
    finally:
        await runtime.close()
    assert planted is not None
    return planted


def test_the_server_is_refused_what_only_workers_import() -> None:
    assert {"workers", "dramatiq", "aiohttp", "soundfile", "vaderSentiment"} <= WORKERS_ALONE


def test_what_is_refused_cannot_be_imported(apart: Installation) -> None:
    environment = apart.environment | refusing({"starlette"})

    python = subprocess.run(
        [sys.executable, "-c", "import starlette.routing"], env=environment, capture_output=True, check=False
    )

    assert python.returncode == 1
    assert python.stderr.endswith(b"ImportError: starlette is refused\n")


def test_a_server_without_workers_queues_a_call_and_workers_without_a_server_carry_it_out(apart: Installation) -> None:
    planted = asyncio.run(plant(apart))
    url = apart.urls[0]
    order = {"agentId": planted.agent_id, "phoneNumberId": planted.phone_number_id, "to": planted.callee}

    apart.spawn("serve", *listen_at(url), **refusing(WORKERS_ALONE))
    apart.wait_ready(url)
    with apart.client(url, key=planted.api_key) as client:
        placed = client.post("/calls", json=order)
        listed = client.post(client.base_url.join("/graphql"), json={"query": "{ calls { nodes { id status } } }"})
        apart.spawn("work", **refusing(WEB_ALONE))
        call = until_over(client, [placed.json()["id"]])[placed.json()["id"]]
        recording = httpx.get(call["recordingUrl"])
    codes = apart.stop()

    assert (placed.status_code, placed.json()["status"]) == (201, "queued")
    assert listed.json() == {"data": {"calls": {"nodes": [{"id": call["id"], "status": "QUEUED"}]}}}
    assert (call["status"], call["outcome"]) == ("completed", "appointment-booked")
    assert (recording.status_code, recording.headers["content-type"]) == (200, "audio/mpeg")
    assert codes == [0, 0]
