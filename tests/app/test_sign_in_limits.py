"""Guesses are counted exactly, however many come at once and wherever they are counted (decision 0011)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.rate_limit import LocalRateLimiter, RateLimiter, RedisRateLimiter
from app.sign_in_limits import QUARTER_S, SignInLimits
from schema.errors import RateLimited, Unauthenticated
from tests.support.time import VirtualClock


@pytest.fixture(params=["local", "redis"])
async def limits(request: pytest.FixtureRequest, clock: VirtualClock) -> AsyncIterator[SignInLimits]:
    limiters: list[RateLimiter] = []
    for window_s in (60, QUARTER_S):
        if request.param == "redis":
            limiters.append(RedisRateLimiter(request.getfixturevalue("redis_url"), clock, window_s=window_s))
        else:
            limiters.append(LocalRateLimiter(clock, window_s=window_s))
    yield SignInLimits(*limiters)
    for limiter in limiters:
        await limiter.close()


async def verify(*, good: bool) -> None:
    await asyncio.sleep(0)  # as long as a hash takes
    if not good:
        raise Unauthenticated("wrong")


async def attempt(limits: SignInLimits, client: str, email: str, *, good: bool = False) -> str:
    try:
        async with limits.attempt(client, email):
            await verify(good=good)
    except Unauthenticated:
        return "tried"
    except RateLimited as refusal:
        return f"wait {refusal.retry_after_s}"
    return "in"


async def test_at_once_from_everywhere_as_one(limits: SignInLimits, clock: VirtualClock) -> None:
    outcomes = await asyncio.gather(*(attempt(limits, f"203.0.113.{i}", "kim@example.com") for i in range(40)))

    assert outcomes.count("tried") == 10
    assert await attempt(limits, "198.51.100.1", " KIM@example.com ", good=True) == "wait 900"


async def test_at_once_from_one_as_everybody(limits: SignInLimits) -> None:
    outcomes = await asyncio.gather(*(attempt(limits, "203.0.113.1", f"{i}@example.com") for i in range(40)))

    assert outcomes.count("tried") == 10
    assert await attempt(limits, "203.0.113.1", "kim@example.com", good=True) == "wait 60"


async def test_the_longer_wait_of_two(limits: SignInLimits, clock: VirtualClock) -> None:
    for _ in range(10):
        await attempt(limits, "203.0.113.1", "kim@example.com")

    assert await attempt(limits, "203.0.113.1", "kim@example.com") == "wait 900"
    await clock.advance(60)
    assert await attempt(limits, "203.0.113.1", "lee@example.com") == "tried"
    assert await attempt(limits, "203.0.113.1", "kim@example.com") == "wait 840"


async def test_nothing_is_remembered_of_attempts_that_are_over(limits: SignInLimits) -> None:
    for i in range(30):
        await attempt(limits, "203.0.113.1", f"{i}@example.com", good=i % 3 == 0)
    cancelled = asyncio.create_task(attempt(limits, "203.0.113.2", "kim@example.com"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])

    assert limits._trying == {}
