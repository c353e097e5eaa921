"""The two databases behind one face: column types, the writers' gate, connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from itertools import pairwise

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, literal, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from schema.database import Database, EnumText, Instant, OpenGate, WriterGate, open_database
from schema.settings import Settings
from tests.support.runtime import on_both, settings_for


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark-blue"


moments = Table(
    "moments",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("at", Instant()),
    Column("colour", EnumText(Colour)),
)
INSTANTS = [  # in order
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(33, 4, 3, 15, 0, 0, 1, tzinfo=UTC),
    datetime(999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1000, 1, 1, tzinfo=UTC),
    datetime(2025, 1, 15, 14, 23, tzinfo=UTC),
    datetime(2025, 1, 15, 14, 23, 0, 1, tzinfo=UTC),
    datetime(2025, 1, 15, 14, 23, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


@pytest.fixture
async def opened(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings)
    async with database.engine.begin() as connection:
        await connection.run_sync(moments.create)
    yield database
    async with database.engine.begin() as connection:
        await connection.run_sync(moments.drop)
    await database.close()


@on_both
async def test_instants_come_back_as_they_went(opened: Database) -> None:
    async with opened.engine.begin() as connection:
        await connection.execute(insert(moments), [{"at": instant} for instant in (*INSTANTS, None)])

        through_the_engine = list((await connection.execute(select(moments.c.at).order_by(moments.c.id))).scalars())
    read = [row.at for row in await opened.read(select(moments.c.at).order_by(moments.c.id))]

    assert through_the_engine == read == [*INSTANTS, None]
    assert {instant.tzinfo for instant in read if instant} == {UTC}


@on_both
async def test_instants_sort_by_time_also_before_the_year_1000(opened: Database) -> None:
    async with opened.engine.begin() as connection:
        await connection.execute(insert(moments), [{"at": instant} for instant in reversed(INSTANTS)])

    rows = await opened.read(select(moments.c.at).order_by(moments.c.at))

    assert [row.at for row in rows] == INSTANTS
    for index, instant in enumerate(INSTANTS):
        earlier = await opened.read(select(moments.c.at).where(moments.c.at < instant))
        assert len(earlier) == index


@on_both
async def test_instants_are_stored_in_utc(opened: Database) -> None:
    there = datetime(2025, 1, 15, 19, 53, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    async with opened.engine.begin() as connection:
        await connection.execute(insert(moments), {"at": there})

    assert [row.at for row in await opened.read(select(moments.c.at).where(moments.c.at == there))] == [INSTANTS[4]]


async def test_instants_are_text_of_one_width_on_sqlite(opened: Database) -> None:
    async with opened.engine.begin() as connection:
        await connection.execute(insert(moments), [{"at": INSTANTS[1]}, {"at": INSTANTS[4]}])

        stored = (await connection.execute(text("SELECT at FROM moments ORDER BY id"))).scalars().all()

    assert stored == ["0033-04-03T15:00:00.000001Z", "2025-01-15T14:23:00.000000Z"]


@on_both
async def test_an_instant_without_a_zone_is_refused(opened: Database) -> None:
    async with opened.engine.connect() as connection:
        with pytest.raises(StatementError, match="a datetime without a time zone cannot be stored"):
            await connection.execute(insert(moments), {"at": datetime(2025, 1, 15)})  # noqa: DTZ001 (the naive one)


@on_both
async def test_enums_are_kept_as_their_text(opened: Database) -> None:
    async with opened.engine.begin() as connection:
        await connection.execute(insert(moments), [{"colour": Colour.DARK_BLUE}, {"colour": "red"}, {"colour": None}])

        stored = (await connection.execute(text("SELECT colour FROM moments ORDER BY id"))).scalars().all()
    read = [row.colour for row in await opened.read(select(moments.c.colour).order_by(moments.c.id))]

    assert stored == ["dark-blue", "red", None]
    assert read == [Colour.DARK_BLUE, Colour.RED, None]
    assert type(read[0]) is Colour


async def test_a_word_that_the_enum_lacks_is_refused(opened: Database) -> None:
    async with opened.engine.connect() as connection:
        with pytest.raises(StatementError, match="'green' is not a valid Colour"):
            await connection.execute(insert(moments), {"colour": "green"})


async def test_sqlite_is_opened_as_designed(opened: Database, settings: Settings) -> None:
    async with opened.engine.connect() as connection:
        pragmas = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }

    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 10_000, "synchronous": 1}


async def test_synchronous_full_is_a_setting(settings: Settings) -> None:
    database = open_database(settings.model_copy(update={"sqlite_synchronous": "full"}))

    async with database.engine.connect() as connection:
        assert (await connection.execute(text("PRAGMA synchronous"))).scalar_one() == 2
    await database.close()


@on_both
async def test_foreign_keys_are_enforced(opened: Database) -> None:
    async with opened.engine.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(
                text(
                    "INSERT INTO users (id, workspace_id, email, role, password_hash, must_change_password, created_at)"
                    " VALUES ('c1', 'c0', 'a@example.com', 'owner', '', true, '2025-01-15')"
                )
            )


async def test_reads_cannot_write(opened: Database) -> None:
    with pytest.raises(Exception, match="attempt to write a readonly database"):
        await opened.read(insert(moments).values(colour=Colour.RED))

    assert await opened.read(select(moments)) == []


async def test_one_file_has_one_gate_whoever_opens_it(settings: Settings) -> None:
    first, second = open_database(settings), open_database(settings)
    other = open_database(settings_for(settings.data / "other"))

    assert isinstance(first.gate, WriterGate)
    assert first.gate is second.gate
    assert first.gate is not other.gate


@pytest.mark.parametrize("database", ["postgresql"])
async def test_postgresql_needs_no_gate(opened: Database) -> None:
    assert isinstance(opened.gate, OpenGate)
    async with opened.gate.hold(), opened.gate.hold():
        pass


@pytest.mark.parametrize("database", ["postgresql"])
@pytest.mark.parametrize("query", ["sslmode=disable", "sslmode=prefer&application_name=voxforge"])
async def test_a_postgresql_url_may_carry_what_libpq_knows(settings: Settings, query: str) -> None:
    assert settings.database_url is not None
    url = f"{settings.database_url.get_secret_value()}?{query}"
    database = open_database(settings_for(settings.data, database_url=url))

    async with database.engine.connect() as connection:
        written = (await connection.execute(text("SELECT 1"))).scalar_one()
    read = (await database.read(select(literal(1).label("one"))))[0].one
    await database.close()

    assert (written, read) == (1, 1)


# --- the writers' gate ---


async def passes(gate: WriterGate) -> None:
    """Nobody holds the gate for good: it opens within a second."""
    async with asyncio.timeout(1), gate.hold():
        pass


async def test_the_gate_lets_one_in_at_a_time_in_the_order_of_arrival() -> None:
    gate = WriterGate()
    order: list[str] = []

    async def writer(name: str) -> None:
        async with gate.hold():
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    await asyncio.gather(*(writer(name) for name in "abcd"))

    assert order == [f"{name} {way}" for name in "abcd" for way in ("in", "out")]


async def test_the_gate_opens_again_after_an_error() -> None:
    gate = WriterGate()

    with pytest.raises(KeyError):
        async with gate.hold():
            raise KeyError

    await passes(gate)


async def test_somebody_who_gives_up_leaves_the_queue() -> None:
    gate = WriterGate()
    order: list[str] = []

    async def writer(name: str) -> None:
        async with gate.hold():
            order.append(name)

    async with gate.hold():
        first, second, third = (asyncio.create_task(writer(name)) for name in "abc")
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(first, third)

    assert order == ["a", "c"]
    assert second.cancelled()
    await passes(gate)


@pytest.mark.parametrize("turns_between", range(4))
async def test_a_turn_that_arrives_as_one_gives_up_is_handed_on(turns_between: int) -> None:
    gate = WriterGate()
    entered: list[str] = []

    async def writer(name: str) -> None:
        async with gate.hold():
            entered.append(name)

    async with gate.hold():
        quitter = asyncio.create_task(writer("quitter"))
        await asyncio.sleep(0)
        heir = asyncio.create_task(writer("heir"))
        await asyncio.sleep(0)
    for _ in range(turns_between):  # the turn is on its way to the quitter's loop, or has arrived
        await asyncio.sleep(0)
    quitter.cancel()
    await asyncio.wait([quitter, heir], timeout=1)

    assert entered[-1] == "heir"
    assert heir.done()
    await passes(gate)


async def test_cancelling_before_or_after_the_turn_never_loses_it() -> None:
    gate = WriterGate()
    entered = 0

    async def writer() -> None:
        nonlocal entered
        async with gate.hold():
            entered += 1
            await asyncio.sleep(0)

    for wait in range(6):
        tasks = [asyncio.create_task(writer()) for _ in range(8)]
        for _ in range(wait):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks, timeout=1)
        assert all(task.done() for task in tasks)

    await passes(gate)
    assert entered >= 6 * 4


def test_the_gate_holds_across_threads_and_loops() -> None:
    gate = WriterGate()
    inside = 0
    most = 0
    entered: dict[str, int] = {}

    async def writer(name: str) -> None:
        nonlocal inside, most
        async with gate.hold():
            inside += 1
            most = max(most, inside)
            entered[name] = entered.get(name, 0) + 1
            try:
                await asyncio.sleep(0)
            finally:
                inside -= 1

    async def many(name: str) -> None:
        tasks = [asyncio.create_task(writer(name)) for _ in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::10]:  # some lose patience, wherever the turn happens to be
            task.cancel()
        await asyncio.wait(tasks)

    threads = [threading.Thread(target=asyncio.run, args=(many(name),)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    assert (most, inside) == (1, 0)
    assert all(entered[name] >= 90 for name in "abc")
    asyncio.run(passes(gate))


def test_writers_of_two_loops_take_turns() -> None:
    """Fairness: a loop that comes back at once queues behind one that has waited."""
    gate = WriterGate()
    order: list[str] = []
    both = threading.Barrier(2)

    async def writer(name: str) -> None:
        both.wait(10)
        for _ in range(20):
            async with gate.hold():
                order.append(name)
                # Until the other one waits, which no event tells.
                while not gate._waiting and order.count("a") < 20 and order.count("b") < 20:  # noqa: ASYNC110
                    await asyncio.sleep(0)

    threads = [threading.Thread(target=asyncio.run, args=(writer(name),)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    runs = sum(1 for one, other in pairwise(order) if one != other)
    assert len(order) == 40
    assert runs >= 38  # a, b, a, b …; the first round may go either way


def test_two_loops_write_to_one_file_and_nobody_finds_it_locked(settings: Settings) -> None:
    async def prepare() -> None:
        database = open_database(settings)
        async with database.engine.begin() as connection:
            await connection.run_sync(moments.create)
        await database.close()

    failures: list[BaseException] = []

    async def writer() -> None:
        async with AsyncExitStack() as stack:
            database = open_database(settings)
            stack.push_async_callback(database.close)
            for _ in range(25):
                async with database.gate.hold(), database.engine.begin() as connection:
                    await connection.execute(insert(moments), {"colour": Colour.RED})

    def run() -> None:
        try:
            asyncio.run(writer())
        except BaseException as failure:  # noqa: BLE001 (whatever it is, the test must see it)
            failures.append(failure)

    asyncio.run(prepare())
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    async def written() -> int:
        database = open_database(settings)
        rows = await database.read(select(moments.c.id))
        await database.close()
        return len(rows)

    assert failures == []
    assert asyncio.run(written()) == 75
