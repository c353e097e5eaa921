"""Deliveries: lease many, send on one loop with one client, settle together (decisions W4, W5, W8)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import dramatiq
import structlog
from sqlmodel import col

from schema import due
from schema.database import DATABASE_ERRORS
from schema.due import Lease
from schema.runtime import Runtime
from schema.services import deliveries
from schema.services.deliveries import Outgoing, Result
from schema.services.webhooks import QUEUE
from schema.tables import Delivery
from workers.broker import Packed, broker
from workers.outbound import Outbound

log = structlog.get_logger("voxforge.webhooks")

PLACES = 1_000
IN_FLIGHT_AN_ENDPOINT = 5
WAITING_AN_ENDPOINT = 50  # of one that answers; one that has just failed keeps nobody waiting in a place
_SETTLED_AT_ONCE = 100
_WAIT_S = 5.0  # of the lease, for waiting behind others of the same endpoint
_MARGIN_S = 5.0  # of the lease that must be left for writing the result


@dataclass(slots=True)
class _Endpoint:
    """What this process has under way for one endpoint."""

    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT_AN_ENDPOINT))
    claimed: int = 0
    failing: bool = False

    @property
    def room(self) -> int:
        most = IN_FLIGHT_AN_ENDPOINT + (0 if self.failing else WAITING_AN_ENDPOINT)
        return max(0, most - self.claimed)


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
        self._endpoints: defaultdict[str, _Endpoint] = defaultdict(_Endpoint)
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: asyncio.Queue[tuple[Result, asyncio.Future[None]]] = asyncio.Queue()
        self._settler = asyncio.create_task(self._settle_forever())

    def take(self, leases: Sequence[Lease]) -> None:
        self._start(self._load(leases))

    def busy(self) -> Sequence[Any]:
        full = [id for id, endpoint in self._endpoints.items() if endpoint.room == 0]
        return [col(Delivery.endpoint_id).not_in(full)] if full else []

    async def close(self, timeout_s: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, timeout_s - 2))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._settler.cancel()
        await asyncio.gather(self._settler, return_exceptions=True)
        await self._outbound.close()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, leases: Sequence[Lease]) -> None:
        """Read what to send; rows whose endpoint is gone are finished, rows beyond an endpoint's room go back."""
        left = {lease.id: lease for lease in leases}
        try:
            back = []
            for outgoing in await deliveries.load(self._runtime, leases):
                held = left.pop(outgoing.held.id)
                endpoint = self._endpoints[outgoing.endpoint_id]
                if endpoint.room:
                    endpoint.claimed += 1
                    self._start(self._deliver(outgoing, endpoint))
                else:
                    back.append(held)
                    self._done(1)
            if back:
                await due.put_back(self._runtime, Delivery, back)
            if left:
                async with self._runtime.transaction(None) as tx:
                    await deliveries.drop_gone(tx, list(left.values()))
        except DATABASE_ERRORS as error:
            log.warning("could not load deliveries; they come back by themselves", error=type(error).__name__)
        finally:
            self._done(len(left))

    async def _deliver(self, outgoing: Outgoing, endpoint: _Endpoint) -> None:
        try:
            waited = endpoint.slots.locked()
            async with endpoint.slots:
                if outgoing.held.left_s(self._runtime.clock.now()) < self._runtime.settings.webhook_timeout + _MARGIN_S:
                    await due.put_back(self._runtime, Delivery, [outgoing.held])
                    return
                fresh = await self._still_wanted(outgoing) if waited else outgoing
                if fresh is None:
                    return
                result = await self._send(fresh)
                endpoint.failing = result.error_class is not None or not 200 <= (result.status_code or 0) < 300
            await self._settled(result)
        except asyncio.CancelledError:
            await due.put_back(self._runtime, Delivery, [outgoing.held])
            raise
        finally:
            endpoint.claimed -= 1
            if not endpoint.claimed and not endpoint.failing:
                self._endpoints.pop(outgoing.endpoint_id, None)
            self._done(1)

    async def _still_wanted(self, outgoing: Outgoing) -> Outgoing | None:
        """The delivery as its endpoint is now, after a wait; None when nothing may be sent there any more (W8)."""
        found = await deliveries.load(self._runtime, [outgoing.held])
        if found:
            return found[0]
        async with self._runtime.transaction(None) as tx:
            await deliveries.drop_gone(tx, [outgoing.held])
        return None

    async def _send(self, outgoing: Outgoing) -> Result:
        started_at = self._runtime.clock.now()
        answer = await self._outbound.post(outgoing.url, outgoing.body, outgoing.headers(started_at))
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

    async def _settled(self, result: Result) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._results.put((result, written))
        await written

    async def _settle_forever(self) -> None:
        """Write results as they come, many in one transaction; retried while their leases last (`jobs.md`)."""
        while True:
            batch = [await self._results.get()]
            while not self._results.empty() and len(batch) < _SETTLED_AT_ONCE:
                batch.append(self._results.get_nowait())
            await self._settle([result for result, _ in batch])
            for _, written in batch:
                if not written.done():
                    written.set_result(None)

    async def _settle(self, results: list[Result]) -> None:
        while results:
            try:
                async with self._runtime.transaction(None) as tx:
                    await deliveries.settle(tx, results)
                return
            except DATABASE_ERRORS as error:
                log.warning("could not write results; trying again", error=type(error).__name__, results=len(results))
                await asyncio.sleep(0.5)
                now = self._runtime.clock.now()
                results = [result for result in results if result.outgoing.held.left_s(now) > 0]
            except Exception:
                log.exception("could not write results; these deliveries are sent again", results=len(results))
                return
