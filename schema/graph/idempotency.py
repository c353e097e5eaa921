"""An operation that is carried out once for each idempotency key, whatever dies in between (decision R10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from schema.database import DATABASE_ERRORS
from schema.graph.access import require
from schema.graph.context import Context
from schema.graph.execution import Operation
from schema.rules.idempotency import HEADER, RENEW_EVERY_S, check_key, fingerprint, reservation_id
from schema.services import idempotency
from schema.services.idempotency import Answer, Reservation, StillRunning

__all__ = ["HEADER", "Answer", "Keyed", "StillRunning", "answer_once"]

Run = Callable[[], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with a key: the operation, the place it was sent to (route, ids in its path), and all that it says."""

    operation: Operation
    place: Sequence[str]
    key: str
    variables: Mapping[str, Any]


async def answer_once(context: Context, keyed: Keyed, run: Run) -> tuple[Answer, bool]:
    """`run` the operation, or answer as it was answered before; the second value is whether that is so.

    What `run` answers is kept, with what it did, in one commit. So is a refusal (4xx) that came of looking at the
    workspace's rows; one that came of the request alone is not, nor is a failure of ours (5xx), and neither did
    anything. Raises StillRunning, Forbidden, and Invalid for a bad key or one that was used with another body.
    """
    check_key(keyed.key)
    require(keyed.operation.root.definition, context.viewer)  # an answer is shown to those only who may ask for it
    id = reservation_id(context.viewer.workspace_id, keyed.place, keyed.key)
    said = fingerprint(keyed.variables)
    found = await context.runtime.perform(context.viewer, idempotency.reserve, id, said)
    if isinstance(found, Answer):
        return found, True
    async with _renewed(context, found):
        try:
            return await _carry_out(context, found, run), False
        except Exception:
            await _release(context, found)
            raise


class _Refused(Exception):
    """Undoes the transaction of an operation that was refused."""

    def __init__(self, answer: Answer, *, is_kept: bool) -> None:
        self.answer = answer
        self.is_kept = is_kept


async def _carry_out(context: Context, held: Reservation, run: Run) -> Answer:
    """Run, and keep the answer together with what was done; after a refusal, of which nothing is left, alone."""
    try:
        async with context.unit_of_work() as unit:
            answer = await run()
            _check_success(answer, has_begun=unit.has_begun)
            async with unit.write() as tx:
                await idempotency.settle(tx, held, answer)
            return answer
    except _Refused as refused:
        if not refused.is_kept:
            await _release(context, held)
            return refused.answer
        await context.runtime.perform(context.viewer, idempotency.settle, held, refused.answer)
        return refused.answer


def _check_success(answer: Answer, *, has_begun: bool) -> None:
    if answer.status >= 400:
        raise _Refused(answer, is_kept=has_begun and answer.status < 500)


async def _release(context: Context, held: Reservation) -> None:
    """Let go at once, if the database can be reached; else the reservation expires."""
    with suppress(*DATABASE_ERRORS):
        await context.runtime.perform(context.viewer, idempotency.release, held)


@asynccontextmanager
async def _renewed(context: Context, held: Reservation) -> AsyncIterator[None]:
    """Inside, the reservation does not expire while this process is alive."""
    renewing = asyncio.create_task(_renew(context, held))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])


async def _renew(context: Context, held: Reservation) -> None:
    is_ours = True
    while is_ours:
        await context.runtime.clock.sleep(RENEW_EVERY_S)
        with suppress(*DATABASE_ERRORS):
            is_ours = await context.runtime.perform(context.viewer, idempotency.renew, held)
