"""Ten endpoints of a hundred do not answer: what that costs the ninety (decision W8)."""

from __future__ import annotations

import asyncio
import time

from counting import hang_ratio, p99
from scene import Scene
from working import Calls

_HANGING = 10
_ENDPOINTS = 100
_EVERY_S = 1.0
_SPREAD = 0.4  # or the requests that hang would all time out in the moment of another call, ten seconds later
_TO_TAKE_ALL_PLACES = 3  # calls, after which five requests hang at each of the ten
_DRAINED_WITHIN_S = 30.0

Span = tuple[float, float]
"""From and to, on the monotonic clock."""


async def endpoints(scene: Scene) -> None:
    """Rounds without and with the hang in turn; each call tells two events to all hundred."""
    rounds, each = scene.size(9, 3), scene.size(4, 3)
    measured: dict[bool, list[Span]] = {False: [], True: []}
    work = scene.calls(1_000, rate=1 / _EVERY_S, endings=("43",), spread=_SPREAD)
    async with scene.under_way(work):
        await _settle(scene, work, 2)  # connections, and what is compiled once
        for number in range(rounds):
            for hangs in (False, True):
                scene.say(f"round {number + 1} of {rounds}, {'ten hang' if hangs else 'all answer'}")
                scene.receiver.tell("hang", _HANGING if hangs else 0)
                if hangs:
                    await scene.until(work, work.progress + _TO_TAKE_ALL_PLACES)
                    await asyncio.sleep(_EVERY_S / 2)
                begun = time.monotonic()
                await scene.until(work, work.progress + each)
                await asyncio.sleep(_EVERY_S / 2)
                measured[hangs].append((begun, time.monotonic()))
                scene.receiver.tell("hang", 0)
                await _settle(scene, work, 0)
        work.total = work.progress
    await _compare(scene, measured)


async def _settle(scene: Scene, work: Calls, calls: int) -> None:
    await scene.until(work, work.progress + calls)
    await asyncio.sleep(_EVERY_S / 2)
    await scene.books.until_finished(_DRAINED_WITHIN_S)


async def _compare(scene: Scene, measured: dict[bool, list[Span]]) -> None:
    latencies = await _latencies(scene)
    by_round = {
        hangs: [[took for at, took in latencies if begun <= at < ended] for begun, ended in spans]
        for hangs, spans in measured.items()
    }
    scene.outcome.ratio = hang_ratio(by_round[False], by_round[True])
    samples = sum(map(len, by_round[True]))
    every = {hangs: p99([took for each in rounds for took in each]) * 1e3 for hangs, rounds in by_round.items()}
    scene.outcome.done = (
        f"{_HANGING} of {_ENDPOINTS} endpoints hang; p99 of the others {every[False]:.0f} → {every[True]:.0f} ms, "
        f"by rounds × {scene.outcome.ratio:.2f} ({samples:,} deliveries)"
    )


async def _latencies(scene: Scene) -> list[tuple[float, float]]:
    """For each delivery to an endpoint that never hangs: when it was made (monotonic), seconds to its first byte."""
    wall_to_monotonic = time.monotonic() - time.time()
    first: dict[tuple[str, str], float] = {}
    for request in scene.receiver.requests():
        first.setdefault(request.key, request.at)
    healthy = scene.paths[_HANGING:]
    made: dict[tuple[str, str], float] = {}
    for row in await scene.books.deliveries():
        if (path := scene.endpoints[row.endpoint_id]) in healthy:
            made[path, row.event_id] = row.created_at.timestamp() + wall_to_monotonic
    return [(at, first[key] - at) for key, at in made.items() if key in first]
