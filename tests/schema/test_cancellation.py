"""A task cancelled inside a transaction leaves the database writable (SQLite has one write lock)."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from schema.runtime import Runtime
from tests.support import seeds

_LONG = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t LIMIT 100000) SELECT n FROM t"


async def test_a_connection_that_is_given_up_keeps_no_lock(runtime: Runtime) -> None:
    """What a cancelled task leaves: a transaction that wrote, and a statement that its traceback keeps alive."""
    viewer = await seeds.workspace(runtime)
    async with runtime.database.gate.hold(), runtime.database.engine.connect() as connection:
        await connection.execute(text("UPDATE workspaces SET name = 'half done'"))
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        unfinished = await driver.execute(_LONG)
        await unfinished.fetchone()

        await connection.invalidate()

    async with asyncio.timeout(5):  # less than the 10 s for which the next writer would wait, and then fail
        contact = await seeds.contact(runtime, viewer)
    assert contact.id
    assert unfinished is not None


async def test_cancelling_at_any_instant_leaves_the_database_writable(runtime: Runtime) -> None:
    viewer = await seeds.workspace(runtime)

    async def write() -> None:
        await seeds.contact(runtime, viewer)
        await seeds.agent(runtime, viewer)

    cancelled = []
    for step in range(40):
        task = asyncio.create_task(write())
        await asyncio.sleep(step * 0.0001)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            cancelled.append(error)  # its traceback stays alive, as a handler's would

        async with asyncio.timeout(5):
            await seeds.contact(runtime, viewer)

    assert cancelled
