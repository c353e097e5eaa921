"""Transactions: all or nothing, rings after the commit, and one workspace never sees another's rows (R5)."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from schema import tables
from schema.errors import NotFound
from schema.runtime import Runtime, Viewer, missing
from schema.services import agents, calls, campaigns
from schema.settings import Settings
from schema.tables import Agent, Campaign, Contact, DoNotCall, Owned, SoftDeleted
from tests.support import seeds
from tests.support.runtime import Rings, on_both, settings_for
from tests.support.time import VirtualClock

OWNED = sorted(
    (
        table
        for table in vars(tables).values()
        if isinstance(table, type) and issubclass(table, Owned) and hasattr(table, "__table__")
    ),
    key=lambda table: table.__name__,
)
UNKNOWN = "c0000000000000000unknown0"


async def names(runtime: Runtime) -> list[str]:
    return [row.name for row in await runtime.database.read(select(Agent).order_by(col(Agent.id)))]


@on_both
async def test_a_transaction_is_committed_at_its_end(runtime: Runtime, viewer: Viewer) -> None:
    async with runtime.transaction(viewer) as tx:
        await agents.create(tx, {"name": "Sam", "system_prompt": "Be kind."})
        await tx.flush()
        inside = await names(runtime)

    assert inside == []
    assert await names(runtime) == ["Sam"]


@on_both
async def test_an_error_undoes_all_of_it(runtime: Runtime, viewer: Viewer) -> None:
    sam = await seeds.agent(runtime, viewer)

    async def change_and_fail() -> None:
        async with runtime.transaction(viewer) as tx:
            await agents.update(tx, sam.id, {"name": "Kim"})
            await agents.create(tx, {"name": "Lee", "system_prompt": "Be kind."})
            await tx.flush()
            await agents.get(tx, UNKNOWN)

    with pytest.raises(NotFound):
        await change_and_fail()

    assert await names(runtime) == ["Sam"]


@on_both
async def test_giving_up_undoes_all_of_it(runtime: Runtime, viewer: Viewer) -> None:
    flushed = asyncio.Event()

    async def writer() -> None:
        async with runtime.transaction(viewer) as tx:
            await agents.create(tx, {"name": "Sam", "system_prompt": "Be kind."})
            await tx.flush()
            flushed.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(writer())
    await flushed.wait()
    task.cancel()
    await asyncio.wait([task])

    assert await names(runtime) == []
    await seeds.agent(runtime, viewer)  # nobody holds the gate, or a lock
    assert await names(runtime) == ["Sam"]


@on_both
async def test_rings_wait_for_the_commit(runtime: Runtime, viewer: Viewer, rings: Rings) -> None:
    async with runtime.transaction(viewer) as tx:
        tx.ring("calls")
        tx.ring("deliveries")
        tx.ring("calls")
        before = list(rings.heard)

    assert before == []
    assert sorted(rings.heard) == ["calls", "deliveries"]


async def test_whoever_hears_a_ring_finds_the_work(settings: Settings, runtime: Runtime, viewer: Viewer) -> None:
    found: list[int] = []

    def look(topic: str) -> None:
        if topic != calls.QUEUE:
            return
        with sqlite3.connect(settings.sqlite_path) as connection:
            found.extend(connection.execute("SELECT count(*) FROM calls WHERE due_at IS NOT NULL").fetchone())
        connection.close()

    runtime.bell.listen(look)
    await seeds.call(runtime, viewer)

    assert found == [1]


@on_both
async def test_nothing_rings_when_nothing_was_committed(runtime: Runtime, viewer: Viewer, rings: Rings) -> None:
    async def ring_and_fail() -> None:
        async with runtime.transaction(viewer) as tx:
            tx.ring("calls")
            raise LookupError

    with pytest.raises(LookupError):
        await ring_and_fail()

    assert rings.heard == []


@on_both
async def test_nothing_rings_when_the_commit_itself_fails(runtime: Runtime, viewer: Viewer, rings: Rings) -> None:
    row = await seeds.contact(runtime, viewer)

    async def ring_and_clash() -> None:
        async with runtime.transaction(viewer) as tx:
            tx.ring("calls")
            tx.add(Contact(**{**row.model_dump(), "id": tx.new_id()}))

    with pytest.raises(IntegrityError):
        await ring_and_clash()

    assert rings.heard == []
    assert len(await runtime.database.read(select(Contact))) == 1


async def test_a_transaction_has_one_instant(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    async with runtime.transaction(viewer) as tx:
        await clock.advance(60)
        row = await agents.create(tx, {"name": "Sam", "system_prompt": "Be kind."})

    assert row.created_at == row.updated_at == seeds.at("2025-01-15T14:00:00Z")


@on_both
async def test_a_locked_row_is_changed_by_one_at_a_time(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.campaign(runtime, viewer)

    async def count_one() -> None:
        async with runtime.transaction(viewer) as tx:
            locked = await tx.lock(Campaign, row.id)
            await asyncio.sleep(0)
            locked.calls_total += 1

    await asyncio.gather(*(count_one() for _ in range(10)))

    assert (await campaigns.get(runtime.snapshot(viewer), row.id)).calls_total == 10


# --- tenancy ---


def test_every_table_but_the_workspaces_has_an_owner() -> None:
    mapped = {name: table.columns.keys() for name, table in tables.Table.metadata.tables.items()}

    assert {name for name, columns in mapped.items() if "workspace_id" not in columns} == {"workspaces"}
    assert {table.__tablename__ for table in OWNED} == mapped.keys() - {"workspaces"}


@on_both
async def test_one_workspace_never_sees_or_locks_another_s_rows(runtime: Runtime, viewer: Viewer) -> None:
    other = await seeds.workspace(runtime, name="Other")
    await seeds.everything(runtime, viewer)
    await seeds.everything(runtime, other)

    for table in OWNED:
        rows = await runtime.database.read(select(table).order_by(col(table.id)))
        mine, theirs = ([row.id for row in rows if row.workspace_id == each.workspace_id] for each in (viewer, other))
        assert mine, f"{table.__name__} has no row"
        assert len(mine) == len(theirs)

        async with runtime.transaction(other) as tx:
            for reader in [tx, runtime.snapshot(other)]:
                seen = await reader.all(reader.select(table, deleted=True).order_by(col(table.id)))
                assert [row.id for row in seen] == theirs, table.__name__
                assert await reader.count(reader.select(table)) == len(theirs)
                assert await reader.first(reader.select(table).where(col(table.id) == mine[0])) is None
                with pytest.raises(NotFound) as refused:
                    await reader.get(table, mine[0])
                assert refused.value.message == missing(table, mine[0]).message
            with pytest.raises(NotFound) as refused:
                await tx.lock(table, mine[0])
            assert refused.value.message == missing(table, mine[0]).message
            assert (await tx.lock(table, theirs[0])).id == theirs[0]


@on_both
async def test_an_id_of_another_workspace_reads_like_an_unknown_one(runtime: Runtime, viewer: Viewer) -> None:
    """R5: the same bytes, but for the id itself."""
    row = await seeds.agent(runtime, viewer)
    other = await seeds.workspace(runtime, name="Other")

    for id in (row.id, UNKNOWN):
        with pytest.raises(NotFound) as refused:
            await agents.get(runtime.snapshot(other), id)
        assert refused.value.message == f"Agent with id {id} not found"


async def test_a_transaction_of_the_system_has_no_workspace(runtime: Runtime) -> None:
    async with runtime.transaction(None) as tx:
        with pytest.raises(RuntimeError, match="this transaction has no workspace"):
            tx.select(Agent)


@on_both
@pytest.mark.parametrize("table", [table for table in OWNED if issubclass(table, SoftDeleted)])
async def test_deleted_rows_are_hidden_unless_asked_for(
    runtime: Runtime, viewer: Viewer, table: type[SoftDeleted]
) -> None:
    """A2: what refers to a deleted row stays readable."""
    await seeds.everything(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        gone = await tx.first(tx.select(table))
        assert gone is not None
        gone.deleted_at = tx.now

    async with runtime.transaction(viewer) as tx:
        for reader in (tx, runtime.snapshot(viewer)):
            assert gone.id not in [row.id for row in await reader.all(reader.select(table))]
            assert gone.id in [row.id for row in await reader.all(reader.select(table, deleted=True))]
            with pytest.raises(NotFound):
                await reader.get(table, gone.id)
        with pytest.raises(NotFound):
            await tx.lock(table, gone.id)


def test_every_table_with_deleted_at_hides_its_deleted_rows() -> None:
    assert [table for table in OWNED if "deleted_at" in table.__table__.columns] == [
        table for table in OWNED if issubclass(table, SoftDeleted)
    ]


def test_a_long_id_is_cut_in_the_answer() -> None:
    assert missing(DoNotCall, "x" * 5_000).message == f"Do-not-call entry with id {'x' * 64}… not found"


async def test_opening_a_runtime_touches_no_database(tmp_path: Path) -> None:
    running = Runtime.open(settings_for(tmp_path / "new"))

    await running.close()

    assert not running.settings.sqlite_path.exists()
    assert (tmp_path / "new" / "secret.key").exists()
