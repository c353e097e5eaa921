"""Where faults strike: random points in the course of the work, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_LATEST_S = 0.5
_EDGE = 0.03  # of the work, at its beginning and its end, where nothing is under way


@dataclass(frozen=True, slots=True)
class Point:
    """Strike `victim` when `after` pieces of work have begun, and `delay_s` seconds later."""

    after: int
    delay_s: float
    victim: str


def points(seed: int, name: str, *, count: int, work: int, victims: Sequence[str]) -> list[Point]:
    """`count` points in the order in which they come, over `work` pieces; `victims` may name one several times."""
    chance = random.Random(f"{seed}:{name}")
    first, last = round(work * _EDGE), round(work * (1 - _EDGE))
    afters = sorted(chance.randint(first, last) for _ in range(count))
    return [Point(after, chance.uniform(0, _LATEST_S), chance.choice(victims)) for after in afters]


def numbers(seed: int, name: str, endings: Sequence[str], *, half: int = 0) -> Iterator[str]:
    """Numbers of the sandbox's fiction (+1 NPA 555 01xx), each once; their endings say what happens when called.

    The two halves have none in common.
    """
    chance = random.Random(f"{seed}:{name}:{half}")
    areas = [area for area in range(201, 1000) if area % 100 != 11 and area != 900]  # 900 is premium rate
    every = [f"+1{area}55501{ending}" for area in areas[half::2] for ending in endings]
    chance.shuffle(every)
    yield from every
