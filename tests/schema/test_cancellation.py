"""A task cancelled at any instant inside a transaction leaves the database writable (SQLite's one write lock)."""

from __future__ import annotations

import asyncio

from schema.runtime import Runtime
from tests.support import seeds


async def test_a_cancelled_transaction_never_keeps_the_write_lock(runtime: Runtime) -> None:
    viewer = await seeds.workspace(runtime)

    async def write() -> None:
        await seeds.contact(runtime, viewer)
        await seeds.agent(runtime, viewer)

    cancelled = []
    for step in range(60):
        task = asyncio.create_task(write())
        await asyncio.sleep(step * 0.0001)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            cancelled.append(error)  # its traceback stays alive, as a handler's would

        async with asyncio.timeout(5):  # the lock of a lost connection would be waited for 10 s
            await seeds.contact(runtime, viewer)

    assert cancelled
