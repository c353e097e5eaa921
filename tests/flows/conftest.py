"""Fixtures of the flows: one running installation of each kind for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """SQLite, and everything in one process."""
    with _running(Installation(tmp_path_factory.mktemp("embedded"), DEVELOPMENT, scaled=False)) as running:
        yield running


@pytest.fixture(scope="session")
def scaled(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, redis_server: str
) -> Iterator[Installation]:
    """PostgreSQL and Redis, two of `serve` and two of `work`, as on several machines that share a directory."""
    backends = {"VOXFORGE_DATABASE_URL": postgres_server.create_database(), "VOXFORGE_REDIS_URL": redis_server}
    with _running(Installation(tmp_path_factory.mktemp("scaled"), DEVELOPMENT | backends, scaled=True)) as running:
        yield running


@contextmanager
def _running(installation: Installation) -> Iterator[Installation]:
    try:
        installation.start()
        installation.new_key()
        yield installation
    finally:
        codes = installation.stop()
    assert set(codes) == {0}  # each process stopped as it should


@pytest.fixture(scope="session", params=["embedded", "scaled"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """One after the other: what works with one process works with several."""
    running: Installation = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def client(installation: Installation) -> Iterator[httpx.Client]:
    """An integration with its key; where there are two servers, it talks to them in turn."""
    with installation.client() as client:
        yield client


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    """A customer's own server."""
    with receiver() as state:
        yield state


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The flows of one installation on one of several test processes: they share it, and wait more than they work."""
    for item in items:
        if item.nodeid.startswith("tests/flows/"):
            of_several = "[scaled" in item.nodeid or "test_two_servers" in item.nodeid or "test_apart" in item.nodeid
            kind = "scaled" if of_several else "embedded"
            item.add_marker(pytest.mark.xdist_group(f"flows-{kind}"))
