"""Writing what came of deliveries: many in one transaction, retried while it makes a difference (`jobs.md`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import structlog

from schema.database import DATABASE_ERRORS, may_pass
from schema.runtime import Runtime
from schema.services import sending
from schema.services.sending import Result

log = structlog.get_logger("voxforge.webhooks")

TOGETHER = 100
_RETRY_S = 0.5
_RECEIVED_S = (
    600.0  # beyond its lease, for which a 2xx is kept: written late, it still spares the receiver a second copy
)


class Settler:
    """Writes results as they come; those that come while others are written go together."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: list[tuple[Result, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    def put(self, result: Result) -> asyncio.Future[None]:
        """Take a result, which is written whether or not somebody waits for the future that says so."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((result, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="settler")
        return written

    async def close(self, timeout_s: float) -> None:
        """Write what is left, if the database can be reached in time."""
        writing = self._writing
        if writing is not None:
            await asyncio.wait({writing}, timeout=timeout_s)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                await self._write([result for result, _ in batch])
                for _, written in batch:
                    if not written.done():
                        written.set_result(None)
        finally:
            self._writing = None

    async def _write(self, results: list[Result]) -> None:
        while results:
            try:
                await self._runtime.perform(None, sending.settle, results)
                return
            except Exception as error:  # noqa: BLE001 (whatever it is, the next result must be written)
                if not isinstance(error, DATABASE_ERRORS) or not may_pass(error):
                    await self._write_apart(results, error)
                    return
                log.warning("could not write results; trying again", error=type(error).__name__, results=len(results))
            await asyncio.sleep(_RETRY_S)
            now = self._runtime.clock.now()
            results = [result for result in results if _is_worth_writing(result, now)]

    async def _write_apart(self, results: list[Result], error: Exception) -> None:
        """One of them cannot be written: the others can, and it can without what its receiver said."""
        if len(results) > 1:
            for result in results:
                await self._write([result])
            return
        result = results[0]
        bare = replace(result, response_body=None, error=None)
        log.error("a result cannot be written", delivery_id=result.outgoing.held.id, exc_info=error)
        if bare != result:
            await self._write([bare])


def _is_worth_writing(result: Result, now: datetime) -> bool:
    return result.outgoing.held.left_s(now) > (-_RECEIVED_S if result.is_received else 0)
