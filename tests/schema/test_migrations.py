"""From nothing to the newest revision, on both databases, as often and by as many as like."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect

from schema import migrations
from schema.database import metadata, open_database
from schema.secret import load_secret
from schema.settings import Settings
from tests.support import seeds
from tests.support.runtime import on_both, settings_for


@pytest.fixture
def empty(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Settings that name a database in which there is nothing."""
    if database == "postgresql":
        return settings_for(tmp_path / "data", database_url=request.getfixturevalue("postgres_url"))
    return settings_for(tmp_path / "data")


async def differences(settings: Settings) -> list[object]:
    """What Alembic would change to make the database what the tables say."""

    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    return await asked(settings, compare)


async def asked(settings: Settings, question):
    opened = open_database(settings)
    async with opened.engine.begin() as connection:
        answer = await connection.run_sync(question)
    await opened.close()
    return answer


@on_both
async def test_an_empty_database_comes_to_the_newest_revision(empty: Settings) -> None:
    assert await migrations.upgrade(empty) == (None, migrations.head())

    assert await migrations.current(empty) == migrations.head()
    assert await differences(empty) == []


@on_both
async def test_a_database_without_tables_has_no_revision(empty: Settings) -> None:
    empty.data.mkdir()

    assert await migrations.current(empty) is None


@on_both
async def test_what_is_compared_would_be_noticed(empty: Settings) -> None:
    await migrations.upgrade(empty)

    def spoil(connection: Connection) -> None:
        connection.exec_driver_sql("DROP INDEX ix_calls_due")
        connection.exec_driver_sql("ALTER TABLE agents ADD COLUMN mood TEXT")

    await asked(empty, spoil)

    assert {change[0] for change in await differences(empty)} == {"add_index", "remove_column"}


@on_both
async def test_again_changes_nothing(empty: Settings) -> None:
    await migrations.upgrade(empty)

    assert await migrations.upgrade(empty) == (migrations.head(), migrations.head())

    assert await differences(empty) == []


@on_both
async def test_rows_survive_an_upgrade(settings: Settings, runtime) -> None:
    viewer = await seeds.workspace(runtime)
    row = await seeds.agent(runtime, viewer)

    await migrations.upgrade(settings)

    assert (await runtime.snapshot(viewer).get(type(row), row.id)).name == "Sam"


def start(settings: Settings, together, said) -> None:
    """What a server does first, in a process of its own."""
    together.wait(60)
    secret = load_secret(settings.data)
    before, _ = asyncio.run(migrations.upgrade(settings))
    said.put((secret, before))


@on_both
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_two_hosts_may_start_together(empty: Settings) -> None:
    # Forking saves the seconds of loading it all again; Linux is where that is safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    together, said = context.Barrier(2), context.SimpleQueue()
    hosts = [context.Process(target=start, args=(empty, together, said)) for _ in range(2)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join(60)

    assert [host.exitcode for host in hosts] == [0, 0]
    first, second = said.get(), said.get()
    assert first[0] == second[0] == load_secret(empty.data)
    assert {first[1], second[1]} == {None, migrations.head()}


@on_both
async def test_every_way_down_leads_to_nothing(empty: Settings) -> None:
    await migrations.upgrade(empty)

    def downgrade(connection: Connection) -> set[str]:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return set(inspect(connection).get_table_names())

    assert await asked(empty, downgrade) == {"alembic_version"}
    assert await migrations.upgrade(empty) == (None, migrations.head())
    assert await differences(empty) == []


async def test_only_its_owner_can_read_a_new_sqlite_file(empty: Settings) -> None:
    """It holds the secrets that webhooks are signed with."""
    before = os.umask(0o022)
    try:
        await migrations.upgrade(empty)
    finally:
        os.umask(before)

    assert empty.data.stat().st_mode & 0o777 == 0o700
    assert empty.sqlite_path.stat().st_mode & 0o777 == 0o600


async def test_the_database_may_lie_where_there_is_no_directory_yet(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, database_url=f"sqlite:///{tmp_path}/a/b/calls.db")

    await migrations.upgrade(settings)

    assert (tmp_path / "a" / "b" / "calls.db").exists()
    assert await migrations.current(settings) == migrations.head()


async def test_migrations_say_nothing(empty: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    await migrations.upgrade(empty)

    assert capfd.readouterr() == ("", "")
