"""What tests of calls on the stage share: a worker that carries them, and a carrier on a bad line."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlmodel import col

from schema import due
from schema.due import Lease
from schema.runtime import Runtime, Viewer
from schema.services import (
    calls,
    steps,
)
from schema.tables import Call, Event
from tests.support import seeds
from tests.support.time import VirtualClock
from workers.calls import Calls
from workers.carriers.base import CarrierError, Leg, Order
from workers.carriers.sandbox import SandboxCarrier
from workers.carriers.sandbox_leg import SandboxLeg

EVENTS = ["call.started", "call.ended", "transcript.ready", "analysis.complete"]


class Carrier(SandboxCarrier):
    """The sandbox, on a bad line: as often as `fails` says, by the name of what is asked, it cannot answer."""

    def __init__(self, directory: Path, clock: VirtualClock) -> None:
        super().__init__(directory, clock)
        self.fails: dict[str, int] = {}
        self.placing = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    def _try(self, what: str) -> None:
        if self.fails.get(what, 0) > 0:
            self.fails[what] -= 1
            raise CarrierError(f"cannot {what}")

    async def place(self, order: Order) -> str:
        reference = await super().place(order)
        self.placing.set()
        await self.answers.wait()
        return reference

    async def attach(self, reference: str) -> SandboxLeg:
        self._try("attach")
        return await super().attach(reference)

    async def find(self, attempt_id: str) -> Leg | None:
        self._try("find")
        return await super().find(attempt_id)

    async def hang_up(self, reference: str) -> None:
        self._try("hang up")
        await super().hang_up(reference)


class Work:
    """The performer, its carrier, and the places it has given back."""

    def __init__(self, runtime: Runtime, carrier: Carrier) -> None:
        self.runtime = runtime
        self.carrier = carrier
        self.given_back = 0
        self.performer = Calls(runtime, self._give_back, lambda *_: {"sandbox": carrier})

    def _give_back(self, places: int) -> None:
        self.given_back += places

    async def take(self) -> list[Lease]:
        """What a consumer does: lease what is due, and hand it over."""
        leases = await due.lease(self.runtime, Call, limit=50, seconds=steps.LEASE_S)
        self.performer.take(leases)
        return leases

    async def carry(self) -> None:
        """Take what is due, and carry it to its end."""
        await self.take()
        await asyncio.gather(*self.performer._carried)


async def read(runtime: Runtime, viewer: Viewer, call: Call) -> Call:
    return await calls.get(runtime.snapshot(viewer), call.id)


async def told(runtime: Runtime, call: Call) -> list[str]:
    tx = runtime.snapshot(Viewer(call.workspace_id))
    rows = await tx.all(tx.select(Event).where(col(Event.call_id) == call.id).order_by(col(Event.id)))
    return [row.type.value for row in rows]


async def queued(runtime: Runtime, viewer: Viewer, number: str = "00") -> Call:
    return await seeds.call(runtime, viewer, to=f"+121255501{number}")
