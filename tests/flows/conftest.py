"""Fixtures of the flows: one running installation of each kind for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.flows.receiver import Receiver, receiver
from tests.flows.servers import Installation
from tests.support.servers import PostgresServer

SPEED = "50"
DEVELOPMENT = {
    "VOXFORGE_SANDBOX_SPEED": SPEED,
    "VOXFORGE_WEBHOOK_ALLOW_HTTP": "true",
    "VOXFORGE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
    "VOXFORGE_WEBHOOK_RETRY_SCHEDULE": "0.3,0.3,0.3,0.3",
}


@pytest.fixture(scope="session", params=["embedded", "scaled"])
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """SQLite in one process; or PostgreSQL and Redis with `serve` and `work` apart."""
    data: Path = tmp_path_factory.mktemp(request.param)
    settings = dict(DEVELOPMENT)
    if request.param == "scaled":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        settings["VOXFORGE_DATABASE_URL"] = server.create_database()
        settings["VOXFORGE_REDIS_URL"] = request.getfixturevalue("redis_server")
    running = Installation(data, settings, scaled=request.param == "scaled")
    try:
        running.start()
        running.new_key()
        yield running
    finally:
        running.stop()


@pytest.fixture
def client(installation: Installation) -> Iterator[httpx.Client]:
    """An integration with its key."""
    with installation.client() as client:
        yield client


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    """A customer's own server."""
    with receiver() as state:
        yield state


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All flows on one of several test processes: they share the installations."""
    for item in items:
        if item.nodeid.startswith("tests/flows/"):
            item.add_marker(pytest.mark.xdist_group("flows"))
