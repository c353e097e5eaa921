"""What the installation stands on goes away and comes back: Redis, empty; PostgreSQL, as after a crash."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from backends import Backends
from counting import Strike
from installing import Unwell
from scene import Scene

_REDIS_AWAY_S = 4.0
_POSTGRES_AWAY_S = 10.0
_ASK_EVERY_S = 0.25
_SLOWEST_ANSWER_S = 5.0
"""An API that has lost its database says so; it does not leave its callers waiting."""
_BACK_WITHIN_S = 20.0


async def redis(scene: Scene) -> None:
    """Stopped and started empty, in the middle of the work: it costs latency, nothing else (`jobs.md`)."""
    backends, times = _backends(scene), scene.size(3, 1)
    work, campaign = scene.mixture()
    async with scene.under_way(work, campaign):
        for point in scene.points(times, work, ["redis"]):
            await scene.until(work, point.after)
            await asyncio.sleep(point.delay_s)
            scene.say(f"{work.progress} of {work.total} calls, Redis is away")
            work.allow(work.progress + 10)  # the API takes calls all the same
            await backends.stop_redis()
            await asyncio.sleep(_REDIS_AWAY_S)
            await backends.start_redis()
    scene.outcome.done = f"{scene.what}, Redis emptied {times} ×"


async def postgres(scene: Scene) -> None:
    """Stopped with `-m immediate`; the API says so in the envelope meanwhile, and works again afterwards."""
    backends, probe = _backends(scene), Probe(scene)
    work, campaign = scene.mixture()
    (point,) = scene.points(1, work, ["postgres"])
    async with scene.under_way(work, campaign):
        await scene.until(work, point.after)
        await asyncio.sleep(point.delay_s)
        scene.say(f"{work.progress} of {work.total} calls, PostgreSQL is away")
        work.allow(work.total)
        stopped_at = time.monotonic()
        await backends.stop_postgres()
        scene.strikes.append(Strike(stopped_at, "postgres", cuts=False))
        refused = await probe.during(_POSTGRES_AWAY_S)
        await backends.start_postgres()
        back_s = await probe.until_back()
    answers = ", ".join(f"{count} × {status}" for status, count in sorted(refused.items()))
    scene.outcome.done = (
        f"{scene.what}, PostgreSQL away {_POSTGRES_AWAY_S:g} s; the API meanwhile: {answers}; back after {back_s:.1f} s"
    )


def _backends(scene: Scene) -> Backends:
    if scene.run.backends is None:
        raise Unwell("this fault wants a scaled installation")
    return scene.run.backends


@dataclass
class Probe:
    """A caller who goes on asking, reading and writing, whatever the answers; they must be the envelope's, and soon."""

    scene: Scene
    statuses: Counter[int] = field(default_factory=Counter)

    async def during(self, seconds: float) -> Counter[int]:
        """Ask for so long; returns what was answered."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.statuses[await self._ask("GET", "/calls?limit=1")] += 1
            self.statuses[await self._ask("PATCH", f"/agents/{self.scene.site.agent_id}", {"name": "Sam"})] += 1
            await asyncio.sleep(_ASK_EVERY_S)
        if silent := sum(count for status, count in self.statuses.items() if status <= 0):
            self.scene.wrong(f"{silent} requests were not answered while the database was away")
        if not any(500 <= status < 600 for status in self.statuses):
            self.scene.wrong("the API said nothing of a database that was away")
        return self.statuses

    async def until_back(self) -> float:
        """Seconds until every process of the API answers again."""
        begun = time.monotonic()
        good = 0
        while good < len(self.scene.site.installation.urls):  # which take turns
            good = good + 1 if await self._ask("GET", "/calls?limit=1") == 200 else 0
            if time.monotonic() - begun > _BACK_WITHIN_S:
                self.scene.wrong(f"the API did not work again within {_BACK_WITHIN_S:g} s")
                break
            await asyncio.sleep(_ASK_EVERY_S)
        return time.monotonic() - begun

    async def _ask(self, method: str, path: str, body: object = None) -> int:
        begun = time.monotonic()
        status, _ = await self.scene.api.ask(method, path, body)
        if time.monotonic() - begun > _SLOWEST_ANSWER_S:
            self.scene.wrong(f"{method} {path.partition('?')[0]} took more than {_SLOWEST_ANSWER_S:g} s")
        return status
