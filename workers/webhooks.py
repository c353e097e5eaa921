"""Deliveries: lease many, send on one loop with one client, settle together (decisions W4, W5, W8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import dramatiq
import structlog
from sqlmodel import col

from schema import due
from schema.database import DATABASE_ERRORS
from schema.due import Lease
from schema.runtime import Runtime
from schema.services import sending
from schema.services.sending import Outgoing, Result
from schema.services.webhooks import QUEUE
from schema.tables import Delivery
from workers.broker import Packed, broker
from workers.outbound import Outbound, Withdrawn
from workers.rooms import Room, Rooms
from workers.settling import Settler
from workers.shares import Shares

log = structlog.get_logger("voxforge.webhooks")

PLACES = 1_000
_TIMES_FREE = 2  # a workspace may have so many times the places that are free: one alone leaves a third to the others
_WAIT_S = 4.0  # of the lease, for waiting behind others of the same endpoint
_MARGIN_S = 3.0  # of the lease that must be left for writing the result
_CLOSING_S = 1.5  # of a stop, for writing results and putting the rest back


@dramatiq.actor(actor_name="deliver", queue_name=QUEUE, broker=broker)
def deliver(leases: Packed) -> None:
    """Send leased deliveries."""
    broker.hand_over(QUEUE, leases)


class Deliveries:
    """Sends due deliveries; see `workers.stage.Performer`.

    A delivery is settled only while its lease holds. The lease outlasts the request's total timeout, so a copy is sent
    only when the process dies between the request and the commit.
    """

    def __init__(self, runtime: Runtime, done: Callable[[int], None]) -> None:
        settings = runtime.settings
        self.queue = QUEUE
        self.places = PLACES
        self.lease_s = settings.webhook_timeout + _WAIT_S + _MARGIN_S
        self._runtime = runtime
        self._done = done
        self._outbound = Outbound(
            timeout_s=settings.webhook_timeout,
            allow_networks=settings.webhook_allow_networks,
            allow_http=settings.webhook_allow_http,
        )
        self._rooms = Rooms(runtime.clock)
        self._shares = Shares(PLACES, times=_TIMES_FREE)  # of workspaces
        self._settler = Settler(runtime)
        self._held: dict[str, Lease] = {}  # in a place, and nothing that would have to be written has come of it
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, leases: Sequence[Lease]) -> None:
        self._held |= {lease.id: lease for lease in leases}
        self._start(self._load(leases))

    def busy(self) -> Sequence[Any]:
        crowded = ((Delivery.endpoint_id, self._rooms.full()), (Delivery.workspace_id, self._shares.full()))
        return [col(column).not_in(ids) for column, ids in crowded if ids]

    async def close(self, timeout_s: float) -> None:
        """Let requests under way end, write what came of them, and put back the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, timeout_s - 2 * _CLOSING_S))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._settler.close(_CLOSING_S)
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._put_back(self._held.values())
        except DATABASE_ERRORS as error:
            log.warning("could not put deliveries back; they come back by themselves", error=type(error).__name__)
        await self._outbound.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, leases: Sequence[Lease]) -> None:
        """Read what to send; rows whose endpoint is gone are finished, rows beyond somebody's room go back."""
        left = {lease.id: lease for lease in leases}
        try:
            of_endpoint, of_workspace = [], []  # those for which there is no room
            for outgoing in await sending.load(self._runtime, leases):
                room = self._rooms.of(outgoing.endpoint_id)
                if not room.left:
                    of_endpoint.append(outgoing)
                elif not self._shares.take(outgoing.workspace_id):
                    of_workspace.append(outgoing)
                else:
                    del left[outgoing.held.id]
                    room.claimed += 1
                    self._start(self._deliver(outgoing, room))
            await self._put_back(outgoing.held for outgoing in (*of_endpoint, *of_workspace))
            look = self._rooms.left_out(outgoing.endpoint_id for outgoing in of_endpoint)
            look |= self._shares.left_out({outgoing.workspace_id for outgoing in of_workspace})
            if look:
                self._done(0)  # there is room again
            await self._drop_gone([held for id, held in left.items() if id in self._held])
        except DATABASE_ERRORS as error:
            log.warning("could not load deliveries; they come back by themselves", error=type(error).__name__)
            self._let_go(left)
        finally:
            if left:
                self._done(len(left))

    async def _deliver(self, outgoing: Outgoing, room: Room) -> None:
        try:
            result = await self._in_turn(outgoing, room)
            if result is not None:
                self._let_go([outgoing.held.id])  # what becomes of it now is in the result
                await self._settler.put(result)
        except DATABASE_ERRORS as error:
            self._let_go([outgoing.held.id])
            log.warning("could not look at a delivery; it comes back by itself", error=type(error).__name__)
        except Exception:
            self._let_go([outgoing.held.id])
            log.exception("a delivery failed here; it comes back by itself", delivery_id=outgoing.held.id)
        finally:
            look = self._rooms.free(outgoing.endpoint_id)
            look |= self._shares.free(outgoing.workspace_id)
            self._done(1)
            if look:
                self._done(0)

    async def _in_turn(self, outgoing: Outgoing, room: Room) -> Result | None:
        """Send when it is its endpoint's turn; None when nothing was sent."""
        waited = room.slots.locked()
        async with room.slots:
            if outgoing.held.left_s(self._runtime.clock.now()) < self._runtime.settings.webhook_timeout + _MARGIN_S:
                await self._put_back([outgoing.held])
                return None
            fresh = await self._still_wanted(outgoing) if waited else outgoing
            if fresh is None:
                return None
            try:
                result = await self._send(fresh)
            except Withdrawn:
                if await self._still_wanted(outgoing):
                    await self._put_back([outgoing.held])  # not as it was: from the beginning
                return None
            self._rooms.answered(outgoing.endpoint_id, well=result.is_received, took_s=result.duration_ms / 1000)
            return result

    async def _still_wanted(self, outgoing: Outgoing) -> Outgoing | None:
        """The delivery as its endpoint is now, after a wait; None when nothing may be sent there any more (W8)."""
        found = await sending.load(self._runtime, [outgoing.held])
        if not found:
            await self._drop_gone([outgoing.held])
        return found[0] if found else None

    async def _is_as_it_was(self, outgoing: Outgoing) -> bool:
        """Whether nothing has changed that a request is made of, while its name was looked up (W8)."""
        found = await sending.load(self._runtime, [outgoing.held])
        return [replace(now, failing_since=outgoing.failing_since) for now in found] == [outgoing]

    async def _send(self, outgoing: Outgoing) -> Result:
        started_at = self._runtime.clock.now()
        answer = await self._outbound.post(
            outgoing.url,
            outgoing.body,
            outgoing.headers(started_at),
            owner=outgoing.workspace_id,
            may_go=partial(self._is_as_it_was, outgoing),
        )
        return Result(
            outgoing=outgoing,
            started_at=started_at,
            ended_at=started_at + timedelta(milliseconds=answer.duration_ms),
            duration_ms=answer.duration_ms,
            status_code=answer.status,
            error_class=answer.error_class,
            error=answer.error_text,
            response_body=answer.body_excerpt.decode("utf-8", "replace").replace("\0", "\ufffd") or None,
        )

    async def _put_back(self, leases: Iterable[Lease]) -> None:
        leases = list(leases)
        await due.put_back(self._runtime, Delivery, leases)
        self._let_go(lease.id for lease in leases)

    async def _drop_gone(self, leases: Sequence[Lease]) -> None:
        if leases:
            await self._runtime.perform(None, sending.drop_gone, leases)
            self._let_go(lease.id for lease in leases)

    def _let_go(self, ids: Iterable[str]) -> None:
        for id in list(ids):
            self._held.pop(id, None)
