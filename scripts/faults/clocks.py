"""The wall clock is set an hour ahead or back in the middle of the work, for every process of the installation."""

from __future__ import annotations

import asyncio
import time

from counting import Strike
from scene import Scene
from working import Calls

_HOUR_S = 3_600
_PAUSE_S = 60.0


async def ahead(scene: Scene) -> None:
    """An hour ahead: every lease seems to have run out. Another hour later, who was busy has been called again."""
    work, campaign = scene.mixture(attempts=2)
    async with scene.under_way(work, campaign):
        await _set_amid(scene, work, _HOUR_S)
        await scene.until(campaign, campaign.total)
        await work.placed()
        await scene.books.until_finished(_PAUSE_S)  # now the campaign waits for nothing but its second tries
        _set(scene, 2 * _HOUR_S)
    scene.outcome.done = f"{scene.what}, clock set by +1 h twice"


async def back(scene: Scene) -> None:
    """An hour back: everything seems to be due in an hour."""
    work, campaign = scene.mixture()
    async with scene.under_way(work, campaign):
        await _set_amid(scene, work, -_HOUR_S)
    scene.outcome.done = f"{scene.what}, clock set by -1 h"


async def _set_amid(scene: Scene, work: Calls, seconds: int) -> None:
    scene.receiver.tell("delay", 0.1, 0.5)
    (point,) = scene.points(1, work, ["clock"])
    await scene.until(work, point.after)
    await asyncio.sleep(point.delay_s)
    work.allow(work.total)
    scene.say(f"{work.progress} of {work.total} calls, the clock is set by {seconds:+} s")
    _set(scene, seconds)


def _set(scene: Scene, seconds: int) -> None:
    scene.strikes.append(Strike(time.monotonic(), "clock", cuts=False))
    scene.clock.write_text(str(seconds))
