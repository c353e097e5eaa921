"""`kill -9` at random points of the work; whatever was killed is started again at once, as a supervisor would."""

from __future__ import annotations

import asyncio

from scene import Scene
from working import REFUSED, Work

_KILLS = (20, 4)
_FEWER = (10, 4)


async def deliveries(scene: Scene) -> None:
    """2,000 deliveries: each call that is refused tells two events to each endpoint."""
    scene.receiver.tell("delay", 0.05, 0.4)
    scene.receiver.tell("fail", 0.03)
    per_call = 2 * scene.fault.endpoints
    total = scene.size(2_000, 400) // per_call
    await _killing(scene, scene.calls(total, rate=25, endings=REFUSED), f"{total * per_call:,} deliveries")


async def calls(scene: Scene) -> None:
    """Single calls of every kind."""
    total = scene.size(100, 60)
    await _killing(scene, scene.calls(total, rate=6), f"{total} calls", _FEWER)


async def campaign(scene: Scene) -> None:
    """A campaign of 500 contacts."""
    total = scene.size(500, 80)
    await _killing(scene, scene.campaign(total, concurrency=scene.size(50, 15)), f"a campaign of {total}")


async def _killing(scene: Scene, work: Work, what: str, kills: tuple[int, int] = _KILLS) -> None:
    where = scene.points(scene.size(*kills), work, scene.site.victims)
    starting: dict[str, asyncio.Task[None]] = {}
    async with scene.under_way(work):
        for number, point in enumerate(where, 1):
            await scene.until(work, point.after)
            await asyncio.sleep(point.delay_s)
            victim = scene.site.members[point.victim]
            if victim.name in starting:
                await starting[victim.name]  # what has not started holds nothing that a kill could tear
            await scene.strike(await victim.kill())
            victim.start()
            starting[victim.name] = asyncio.create_task(victim.ready())
            scene.say(f"{work.progress} of {work.total} {work.noun}, {number} of {len(where)} kills")
        await asyncio.gather(*starting.values())
    scene.outcome.done = f"{what}, {len(where)} kills"
