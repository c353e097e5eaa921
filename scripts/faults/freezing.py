"""A worker that is frozen for longer than its leases last, and then goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from counting import Strike
from installing import TIMEOUT_S, Member
from scene import Scene

from schema.services.steps import LEASE_S

_MEANWHILE = 10  # calls that are asked for while a worker is frozen
_FROZEN_S = max(LEASE_S, TIMEOUT_S + 10) + 3


async def worker(scene: Scene) -> None:
    """SIGSTOP while it carries calls and waits for answers; others take over, and what it then says is refused.

    Embedded there is nobody else: the process finds its own leases run out.
    """
    scene.receiver.tell("delay", 0.2, 1.0)
    work, campaign = scene.mixture()
    victims = [member.name for member in scene.site.workers]
    times = scene.size(len(victims), 1)
    async with scene.under_way(work, campaign):
        for point in scene.points(times, work, victims):
            await scene.until(work, point.after)
            await asyncio.sleep(point.delay_s)
            scene.say(f"{work.progress} of {work.total} calls, {point.victim} is frozen")
            if len(scene.site.workers) > 1:
                work.allow(work.progress + _MEANWHILE)  # the others go on
            await _freeze(scene, scene.site.members[point.victim])
            work.allow(work.progress)
    scene.outcome.done = f"{scene.what}, frozen {times} × {_FROZEN_S:g} s"


async def _freeze(scene: Scene, member: Member) -> None:
    frozen_at = member.signal(signal.SIGSTOP)
    strike = Strike(frozen_at, member.name, cuts=False)
    if len(scene.site.workers) > 1:
        await scene.strike(strike)
    else:  # there is nobody to take over before it goes on itself
        scene.strikes.append(strike)
    await asyncio.sleep(_FROZEN_S)
    before = await _finished(scene)
    member.signal(signal.SIGCONT)
    await asyncio.sleep(1.0)
    after = await _finished(scene)
    rewritten = [id for id, row in before.items() if after.get(id) != row]
    if rewritten:
        scene.wrong(f"{len(rewritten)} finished deliveries were rewritten by the worker that was frozen")


async def _finished(scene: Scene) -> dict[str, tuple[Any, ...]]:
    """What is written of deliveries that are over; `attempts_made` may grow: every request sent is in the log (W7)."""
    rows = await scene.books.deliveries(finished=True)
    return {row.id: (row.state, row.version, row.finished_at, row.automatic_attempts) for row in rows}
