"""Reads in one hop say what the ORM says, of every table, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, insert, literal_column, select
from sqlmodel import col

from schema import tables
from schema.reading import StatementCache
from schema.rules.calls import CallPhase, CallStatus
from schema.runtime import Runtime, Viewer
from schema.tables import Agent, ApiKey, Call, Contact, Event, Table
from tests.support import seeds
from tests.support.runtime import on_both

TABLES = sorted(
    (table for table in vars(tables).values() if isinstance(table, type) and hasattr(table, "__table__")),
    key=lambda table: table.__name__,
)


def values(row: Any, table: type[Table]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in table.__table__.columns.keys()}  # noqa: SIM118 (columns, not a dict)


@on_both
async def test_every_table_reads_as_the_orm_says(runtime: Runtime, viewer: Viewer) -> None:
    await seeds.everything(runtime, viewer)
    assert len(TABLES) == len(tables.Table.metadata.tables)

    for table in TABLES:
        statement = select(table).order_by(col(table.id))
        read = [values(row, table) for row in await runtime.database.read(statement)]
        async with runtime.transaction(viewer) as tx:
            expected = [values(row, table) for row in await tx.all(statement)]

        assert read == expected, table.__name__
        assert read, f"{table.__name__} has no row to compare"
        kinds = [{name: type(value) for name, value in row.items()} for row in read]
        assert kinds == [{name: type(value) for name, value in row.items()} for row in expected], table.__name__


@on_both
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"a": None},
        {"ünïcode 😀": "“quotes” \\ \n end", "n": 1, "f": 0.1, "yes": True, "no": False},
    ],
)
async def test_json_comes_back_as_it_went(runtime: Runtime, viewer: Viewer, fields: dict[str, Any]) -> None:
    row = await seeds.contact(runtime, viewer, custom_fields=fields)

    (read,) = await runtime.database.read(select(Contact).where(col(Contact.id) == row.id))

    assert read.custom_fields == fields


@on_both
async def test_json_that_is_absent_is_null_in_the_database(runtime: Runtime, viewer: Viewer) -> None:
    await seeds.call(runtime, viewer)

    (row,) = await runtime.database.read(select(Call))
    absent = await runtime.database.read(select(col(Call.id)).where(col(Call.transcript).is_(None)))

    assert (row.transcript, row.analysis) == (None, None)
    assert len(absent) == 1


@on_both
async def test_lists_of_every_length(runtime: Runtime, viewer: Viewer) -> None:
    ids = sorted(await seeds.contact_list(runtime, viewer, 30))

    for length in (0, 1, 2, 3, 7, 30, 2, 0):
        statement = select(col(Contact.id)).where(col(Contact.id).in_(ids[:length])).order_by(col(Contact.id))
        assert [row.id for row in await runtime.database.read(statement)] == ids[:length]


@on_both
async def test_lists_of_instants_and_enums(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)

    for phases, moments, found in (
        ([CallPhase.QUEUED], [row.created_at], 1),
        ([CallPhase.DIALING, CallPhase.QUEUED], [seeds.at("2024-01-01T00:00:00Z"), row.created_at], 1),
        ([CallPhase.DIALING], [row.created_at], 0),
        ([CallPhase.QUEUED], [], 0),
    ):
        statement = select(Call).where(col(Call.phase).in_(phases), col(Call.created_at).in_(moments))
        assert len(await runtime.database.read(statement)) == found


@on_both
async def test_a_value_named_twice_is_bound_twice(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.agent(runtime, viewer, name="Sam", voice="Sam", max_call_duration=60)
    sam = literal_column("1").op("+")(59)

    statement = select(Agent).where(
        col(Agent.name) == "Sam", col(Agent.voice) == "Sam", col(Agent.max_call_duration) == sam
    )

    assert [found.id for found in await runtime.database.read(statement)] == [row.id]


@on_both
async def test_pages_joins_labels_and_functions(runtime: Runtime, viewer: Viewer) -> None:
    await seeds.everything(runtime, viewer)

    statement = (
        select(col(Event.id).label("event"), col(Call.status), func.length(col(Event.body)).label("size"))
        .join(Call, col(Call.id) == col(Event.call_id))
        .order_by(col(Event.id).desc())
        .limit(2)
        .offset(1)
    )
    rows = await runtime.database.read(statement)

    async with runtime.transaction(viewer) as tx:
        expected = (await tx.execute(statement)).all()
    assert [(row.event, row.status, row.size) for row in rows] == [tuple(row) for row in expected]
    assert {row.status for row in rows} == {CallStatus.COMPLETED}


@on_both
async def test_reads_see_what_is_committed_and_nothing_else(runtime: Runtime, viewer: Viewer) -> None:
    async with runtime.transaction(viewer) as tx:
        row = Agent(
            id=tx.new_id(),
            workspace_id=viewer.workspace_id,
            name="Sam",
            voice="jennifer",
            system_prompt="Be kind.",
            language="en-US",
            max_call_duration=600,
            tools=[],
            created_at=tx.now,
            updated_at=tx.now,
        )
        tx.add(row)
        await tx.flush()
        before = await runtime.database.read(select(Agent))

    after = await runtime.database.read(select(Agent))

    assert before == []
    assert [found.id for found in after] == [row.id]


@on_both
async def test_many_reads_at_once(runtime: Runtime, viewer: Viewer) -> None:
    ids = await seeds.contact_list(runtime, viewer, 40)

    found = await asyncio.gather(*(runtime.database.read(select(Contact).where(col(Contact.id) == id)) for id in ids))

    assert [rows[0].id for rows in found] == ids


@on_both
async def test_a_read_that_is_given_up_leaves_the_reader_in_order(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.agent(runtime, viewer)
    statement = select(Agent).where(col(Agent.id) == row.id)

    for turns in range(5):
        reads = [asyncio.create_task(runtime.database.read(statement)) for _ in range(6)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for read in reads[:5]:
            read.cancel()
        await asyncio.wait(reads)

    assert [found.id for found in await runtime.database.read(statement)] == [row.id]


@on_both
async def test_a_wrong_statement_raises_and_the_reader_goes_on(runtime: Runtime, viewer: Viewer) -> None:
    with pytest.raises(Exception, match="no_such_column"):
        await runtime.database.read(select(literal_column("no_such_column")).select_from(Agent))

    assert await runtime.database.read(select(Agent)) == []


@on_both
async def test_a_shape_is_compiled_once(runtime: Runtime, viewer: Viewer) -> None:
    cache = StatementCache(runtime.database.dialect)

    first, second = (cache.prepare(select(Agent).where(col(Agent.name) == name)) for name in ("Sam", "Kim"))

    assert first.sql == second.sql
    assert (list(first.parameters), list(second.parameters)) == (["Sam"], ["Kim"])
    assert first.make_row is second.make_row


@on_both
async def test_the_cache_is_bounded(runtime: Runtime) -> None:
    cache = StatementCache(runtime.database.dialect, size=10)

    for width in range(1, 60):
        cache.prepare(select(*(col(ApiKey.name).label(f"n{index}") for index in range(width))))

    assert len(cache._compiled) <= 11
    assert len(cache._makers) <= 11
    wide = cache.prepare(select(*(col(ApiKey.name).label(f"n{index}") for index in range(3))))
    assert wide.rows([("a", "b", "c")])[0].n2 == "c"


@on_both
async def test_a_statement_that_cannot_be_cached_does_not_fill_the_cache(runtime: Runtime) -> None:
    cache = StatementCache(runtime.database.dialect, size=10)

    for _ in range(50):
        cache.prepare(insert(Agent).values([{"id": "1"}, {"id": "2"}]).returning(col(Agent.id)))

    assert len(cache._makers) <= 11
