"""Dialers: an actor claims a workspace's dialer that is due and hands it over; the stage gives out its free slots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import dramatiq
import structlog

from schema.database import DATABASE_ERRORS
from schema.due import Fenced, Lease
from schema.runtime import Runtime, Viewer
from schema.services import dialer
from workers.broker import Packed, broker

log = structlog.get_logger("voxforge.dialers")

PLACES = 8  # workspaces looked at at the same time


@dramatiq.actor(actor_name="dial", queue_name=dialer.QUEUE, broker=broker)
def dial(leases: Packed) -> None:
    """Look at workspaces whose dialers are due."""
    broker.hand_over(dialer.QUEUE, leases)


class Dialers:
    """Ticks dialers on the stage; see `workers.stage.Performer` and `schema.services.dialer`."""

    def __init__(self, runtime: Runtime, done: Callable[[int], None]) -> None:
        self.queue = dialer.QUEUE
        self.places = PLACES
        self.lease_s = dialer.LEASE_S
        self._runtime = runtime
        self._done = done
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, leases: Sequence[Lease]) -> None:
        for held in leases:
            task = asyncio.create_task(self._tick(held))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def busy(self) -> Sequence[Any]:
        return []

    async def close(self, timeout_s: float) -> None:
        """Let ticks under way end: each is one short transaction."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _tick(self, held: Lease) -> None:
        try:
            await self._runtime.perform(Viewer(held.id), dialer.tick, held)
        except Fenced:
            log.info("another worker looks at the workspace", workspace_id=held.id)
        except DATABASE_ERRORS as error:
            # It is due again when its lease runs out.
            log.warning("the dialer could not look at a workspace", workspace_id=held.id, error=repr(error))
        except Exception:
            log.exception("the dialer failed", workspace_id=held.id)
        finally:
            self._done(1)
