"""A running domain for a test: its own migrated database, on SQLite or PostgreSQL, and a clock that stands still.

Ask for `runtime`, and `on_both` runs a test on both databases. Migrating once a run and copying is what makes it fast.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from argon2 import PasswordHasher

from schema import migrations
from schema.bell import LocalBell
from schema.database import Database
from schema.runtime import Runtime
from schema.services import passwords
from schema.services.events import TOPIC as EVENTS
from schema.services.watching import CAMPAIGN, DELIVERIES, TOPIC
from schema.settings import PREFIX, Settings
from schema.tables import Table
from tests.support.servers import PostgresServer
from tests.support.time import VirtualClock

_OTHERS_OUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

on_both = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


class Rings(LocalBell):
    """A bell that remembers what work it rang for, which calls have changed, and in which workspaces what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.changed: list[str] = []
        self.happened: list[str] = []
        self.listen(self._remember)

    def _remember(self, topic: str) -> None:
        if topic.startswith(TOPIC):
            self.changed.append(topic.removeprefix(TOPIC))
        elif topic.startswith(EVENTS):
            self.happened.append(topic.removeprefix(EVENTS))
        elif not topic.startswith((CAMPAIGN, DELIVERIES)):
            self.heard.append(topic)


def settings_for(data: Path, **given: object) -> Settings:
    """Settings that read no `.env`."""
    return Settings(_env_file=None, data=data, **given)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    settings = settings_for(tmp_path_factory.mktemp("template"))
    asyncio.run(migrations.upgrade(settings))
    return settings.sqlite_path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a migrated PostgreSQL database, used by one test after the other."""
    url = postgres_server.create_database()
    asyncio.run(migrations.upgrade(settings_for(tmp_path_factory.mktemp("postgresql"), database_url=url)))
    return url


@pytest.fixture
def migrated_postgres_url(migrated_postgres: str) -> str:
    """The URL of a migrated PostgreSQL database without a row: emptying takes a tenth of the time of copying."""

    async def empty() -> None:
        connection = await asyncpg.connect(migrated_postgres)
        await connection.execute(_OTHERS_OUT)
        for table in reversed(Table.metadata.sorted_tables):
            await connection.execute(str(table.delete()))
        await connection.close()

    asyncio.run(empty())
    return migrated_postgres


@pytest.fixture
def database() -> str:
    """Which of the two databases; `on_both` says otherwise."""
    return "sqlite"


@pytest.fixture
def settings(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings that name this test's own migrated database, whatever the environment says."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    if database == "postgresql":
        return settings_for(tmp_path, database_url=request.getfixturevalue("migrated_postgres_url"))
    settings = settings_for(tmp_path)
    shutil.copyfile(request.getfixturevalue("migrated_file"), settings.sqlite_path)
    return settings


@pytest.fixture
def clock() -> VirtualClock:
    """2025-01-15T14:00:00Z, until `await clock.advance(seconds)`."""
    return VirtualClock()


@pytest.fixture
def rings() -> Rings:
    """The bell of `runtime`."""
    return Rings()


@pytest.fixture
async def runtime(settings: Settings, clock: VirtualClock, rings: Rings) -> AsyncIterator[Runtime]:
    """The domain over an empty database."""
    running = Runtime.open(settings, clock=clock, bell=rings)
    await _keep_compiled(running.database)
    yield running
    await running.close()


_first: dict[str, Database] = {}


async def _keep_compiled(database: Database) -> None:
    """What SQLAlchemy compiled in one test serves the next: a third of the time went there."""
    if database.dialect.name not in _first:
        async with database.engine.connect():
            pass  # the first connection is what a dialect learns from
        _first[database.dialect.name] = database
        return
    first, engine = _first[database.dialect.name], database.engine.sync_engine
    engine.dialect = engine.pool._dialect = database.dialect = first.dialect
    engine._compiled_cache = first.engine.sync_engine._compiled_cache
    database._statements = first._statements


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> Iterator[None]:
    """Hashing that takes no time; how much it should take is argon2's business."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield
