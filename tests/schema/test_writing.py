"""Units of work in one hop: whole or not at all, together when they come together, and nobody else's fault."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from schema import writing
from schema.errors import Invalid
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import contacts, workspaces
from schema.settings import Settings
from schema.tables import Contact
from tests.support import seeds
from tests.support.runtime import Rings, on_both


@pytest.fixture
async def viewer(runtime: Runtime) -> Viewer:
    return await seeds.workspace(runtime)


async def add(tx: Transaction, number: str) -> Contact:
    return await contacts.create(tx, {"phone_number": number})


async def add_and_fail(tx: Transaction, number: str) -> None:
    await add(tx, number)
    await tx.flush()
    raise Invalid("no")


async def numbers(runtime: Runtime, viewer: Viewer) -> list[str]:
    tx = runtime.snapshot(viewer)
    return sorted(row.phone_number for row in await tx.all(tx.select(Contact)))


@contextmanager
def seen(runtime: Runtime) -> Iterator[list[str]]:
    """How each transaction of the writer begins and ends."""
    statements: list[str] = []

    def note(statement: str) -> None:
        if statement.partition(" ")[0] in {"BEGIN", "COMMIT", "ROLLBACK"} and "TO" not in statement:
            statements.append(statement)

    writer = runtime.database.writer
    assert writer is not None
    with writer._engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(note)
    yield statements
    driver.set_trace_callback(None)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that the test may look at, too."""
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **given: connect(*args, **{**given, "check_same_thread": False})
    )


@on_both
async def test_a_unit_is_committed_and_its_result_comes_back(runtime: Runtime, viewer: Viewer) -> None:
    row = await runtime.perform(viewer, add, "+15552000001")

    assert row.phone_number == "+15552000001"
    assert await numbers(runtime, viewer) == ["+15552000001"]


@on_both
async def test_a_unit_that_fails_is_undone_and_those_beside_it_are_not(runtime: Runtime, viewer: Viewer) -> None:
    results = await asyncio.gather(
        runtime.perform(viewer, add, "+15552000001"),
        runtime.perform(viewer, add_and_fail, "+15552000002"),
        runtime.perform(viewer, add, "+15552000003"),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [Contact, Invalid, Contact]
    assert await numbers(runtime, viewer) == ["+15552000001", "+15552000003"]


async def test_units_that_wait_share_one_transaction(
    runtime: Runtime, viewer: Viewer, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "TOGETHER_S", 10.0)
    with seen(runtime) as transactions:
        await runtime.perform(viewer, add, "+15552000001")
        alone = list(transactions)
        await asyncio.gather(*(runtime.perform(viewer, add, f"+1555200010{i}") for i in range(9)))

    assert alone == ["BEGIN IMMEDIATE", "COMMIT"]
    assert transactions[2:] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert len(await numbers(runtime, viewer)) == 10


@on_both
async def test_rings_wait_for_the_commit_and_a_unit_that_fails_rings_nobody(
    runtime: Runtime, viewer: Viewer, rings: Rings
) -> None:
    async def ring(tx: Transaction, fail: bool) -> None:
        tx.ring("failed" if fail else "done")
        if fail:
            raise Invalid("no")

    await runtime.perform(viewer, ring, False)
    with pytest.raises(Invalid):
        await runtime.perform(viewer, ring, True)

    assert rings.heard == ["done"]


@on_both
async def test_the_dialer_is_woken_by_a_unit_too(runtime: Runtime, viewer: Viewer, rings: Rings) -> None:
    async def wake(tx: Transaction) -> None:
        tx.wake()

    await runtime.perform(viewer, wake)

    assert rings.heard == ["dialers"]


@on_both
async def test_a_savepoint_inside_a_unit_undoes_its_own_part(runtime: Runtime, viewer: Viewer) -> None:
    async def some(tx: Transaction) -> None:
        await add(tx, "+15552000001")
        with suppress(Invalid):
            async with tx.savepoint():
                await add_and_fail(tx, "+15552000002")
        await add(tx, "+15552000003")

    await runtime.perform(viewer, some)

    assert await numbers(runtime, viewer) == ["+15552000001", "+15552000003"]


async def test_a_unit_that_waits_for_something_else_is_refused_and_undone(runtime: Runtime, viewer: Viewer) -> None:
    """The thread has no event loop, and nobody else could write meanwhile."""

    async def wait(tx: Transaction) -> None:
        await add(tx, "+15552000001")
        await tx.flush()
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waited for something that is not its session"):
        await runtime.perform(viewer, wait)

    assert await numbers(runtime, viewer) == []


async def test_cancelled_while_it_waits_nothing_happens(runtime: Runtime, viewer: Viewer) -> None:
    async with runtime.database.gate.hold():  # nobody can write
        waiting = asyncio.create_task(runtime.perform(viewer, add, "+15552000001"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await runtime.perform(viewer, add, "+15552000002")
    assert await numbers(runtime, viewer) == ["+15552000002"]


async def test_cancelled_once_begun_it_is_done_before_the_cancellation_passes_on(
    runtime: Runtime, viewer: Viewer
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def slow(tx: Transaction) -> None:
        begun.set()
        assert go_on.wait(10)
        await add(tx, "+15552000001")

    performing = asyncio.create_task(runtime.perform(viewer, slow))
    await asyncio.to_thread(begun.wait, 10)
    performing.cancel()
    await asyncio.sleep(0)
    assert not performing.done()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await performing

    assert await numbers(runtime, viewer) == ["+15552000001"]


async def test_cancelling_at_any_instant_leaves_the_database_writable(runtime: Runtime, viewer: Viewer) -> None:
    async def write() -> None:
        for _ in range(3):
            await runtime.perform(viewer, add, seeds.number())
            await seeds.contact(runtime, viewer)

    cancelled = 0
    for step in range(40):
        task = asyncio.create_task(write())
        await asyncio.sleep(step * 0.0001)
        task.cancel()
        cancelled += isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)

        async with asyncio.timeout(5):
            await runtime.perform(viewer, add, seeds.number())

    assert cancelled


async def test_a_commit_that_fails_fails_all_of_them_and_changes_nothing(runtime: Runtime, viewer: Viewer) -> None:
    async def defer(tx: Transaction) -> None:
        await tx.execute(text("PRAGMA defer_foreign_keys=ON"))
        await tx.execute(text("UPDATE contacts SET workspace_id = 'nobody'"))

    kept = await runtime.perform(viewer, add, "+15552000001")

    results = await asyncio.gather(
        runtime.perform(viewer, add, "+15552000002"), runtime.perform(viewer, defer), return_exceptions=True
    )

    assert [type(result) for result in results] == [sqlite3.IntegrityError] * 2
    assert await numbers(runtime, viewer) == [kept.phone_number]
    await runtime.perform(viewer, add, "+15552000003")
    assert len(await numbers(runtime, viewer)) == 2


async def test_an_error_that_makes_sqlite_undo_the_transaction_writes_nothing_of_the_others(
    runtime: Runtime, viewer: Viewer
) -> None:
    """As a full disk does: what came before is gone, and what comes after must not be written alone."""

    async def undo(tx: Transaction) -> None:
        await tx.execute(text("INSERT OR ROLLBACK INTO workspaces SELECT * FROM workspaces"))

    results = await asyncio.gather(
        runtime.perform(viewer, add, "+15552000001"),
        runtime.perform(viewer, undo),
        runtime.perform(viewer, add, "+15552000003"),
        return_exceptions=True,
    )

    assert [isinstance(result, Exception) for result in results] == [True, True, False]
    assert await numbers(runtime, viewer) == ["+15552000003"]


async def test_a_database_that_somebody_else_keeps_locked_fails_those_who_wait(
    runtime: Runtime, viewer: Viewer, settings: Settings
) -> None:
    assert runtime.database.writer is not None

    @event.listens_for(runtime.database.writer._engine, "connect")
    def impatient(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA busy_timeout=1")

    other = sqlite3.connect(settings.sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(
        *(runtime.perform(viewer, add, f"+1555200000{i}") for i in range(3)), return_exceptions=True
    )
    other.execute("ROLLBACK")
    other.close()

    assert [str(result) for result in results] == ["database is locked"] * 3
    await runtime.perform(viewer, add, "+15552000009")
    assert await numbers(runtime, viewer) == ["+15552000009"]


async def test_units_and_transactions_take_turns(runtime: Runtime, viewer: Viewer) -> None:
    await asyncio.gather(
        *(runtime.perform(viewer, add, seeds.number()) for _ in range(20)),
        *(seeds.contact(runtime, viewer) for _ in range(20)),
    )

    assert len(await numbers(runtime, viewer)) == 40


def test_units_of_two_loops_take_turns(settings: Settings) -> None:
    """The server and its embedded workers write to one file."""
    made: list[str] = []

    async def write(name: str) -> None:
        running = Runtime.open(settings)
        try:
            for i in range(20):
                row = await running.perform(None, workspaces.create, name=f"{name} {i}", plan="starter")
                made.append(row.id)
        finally:
            await running.close()

    threads = [threading.Thread(target=lambda name=name: asyncio.run(write(name))) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(set(made)) == 40


async def test_closing_lets_what_has_begun_end(settings: Settings) -> None:
    running = Runtime.open(settings)
    writing = asyncio.create_task(running.perform(None, workspaces.create, name="Acme", plan="starter"))
    await asyncio.sleep(0)

    await running.close()

    assert (await writing).name == "Acme"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("writer")]


async def test_an_error_of_the_database_is_the_unit_s_own(runtime: Runtime, viewer: Viewer) -> None:
    async def nonsense(tx: Transaction) -> None:
        await tx.execute(text("SELECT * FROM nowhere"))

    results = await asyncio.gather(
        runtime.perform(viewer, nonsense), runtime.perform(viewer, add, "+15552000001"), return_exceptions=True
    )

    assert [type(result) for result in results] == [OperationalError, Contact]
