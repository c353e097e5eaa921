"""How many requests a key may make a minute, counted in fixed windows (decision K5).

A window is a minute of the wall clock of the process that counts. Processes whose clocks differ by d seconds count
the requests of those d seconds around a whole minute in different windows: exactness across hosts wants NTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from schema.clock import Clock

log = structlog.get_logger("voxforge.rate_limit")

WINDOW_S = 60
FAILED_AUTHENTICATIONS = 20
"""Failed authentications a minute and client address (decision K5)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a key has left in this window, after the request that asked; `limit` None is unlimited."""

    limit: int | None
    remaining: int
    reset_epoch_s: int
    allowed: bool
    retry_after_s: int

    def headers(self) -> Mapping[str, str]:
        """The headers of `rest-api.md`, *Rate Limits*: none without a limit, and `Retry-After` on a refusal."""
        if self.limit is None:
            return {}
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_epoch_s),
        }
        if not self.allowed:
            headers["Retry-After"] = str(self.retry_after_s)
        return headers


class RateLimiter(Protocol):
    """Counts hits by key."""

    async def hit(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        """Count `cost` against `key` if `limit` has that much left; what is refused is not counted.

        Cost 0 only asks whether a hit of 1 would be allowed. A hit at `reset_epoch_s` is in a new window.
        """

    async def close(self) -> None:
        """Let go of connections."""


class LocalRateLimiter:
    """Counts in this process, on its event loop. Of more than `most_keys` the least recently counted are forgotten."""

    def __init__(self, clock: Clock, *, most_keys: int = 50_000) -> None:
        self._clock = clock
        self._most_keys = most_keys
        self._window = 0
        self._used: dict[str, int] = {}

    async def hit(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        return self.count(key, limit, cost)

    async def close(self) -> None:
        self._used.clear()

    def count(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        """As `hit`, without waiting."""
        now = self._clock.now().timestamp()
        if limit is None:
            return _usage(now, None, 0, allowed=True)
        window = int(now // WINDOW_S)
        used = self.used(window, key)
        allowed = used + max(cost, 1) <= limit
        if allowed and cost:
            used += cost
            self.note(window, key, used)
        return _usage(now, limit, used, allowed=allowed)

    def used(self, window: int, key: str) -> int:
        """What is known to be counted for `key`; the counts of any other window are forgotten."""
        if window != self._window:
            self._window = window
            self._used.clear()
        return self._used.get(key, 0)

    def note(self, window: int, key: str, used: int) -> None:
        """Remember that `key` has used that much, or more if more is known."""
        if window != self._window:
            return
        self._used[key] = max(used, self._used.pop(key, 0))
        if len(self._used) > self._most_keys:
            del self._used[next(iter(self._used))]


# One round trip, so that any number of processes count exactly. The caller's own count is a floor: a Redis that was
# emptied, or was away while processes counted for themselves, does not hand out the window a second time.
_COUNT = """
local used = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[3]))
local cost = tonumber(ARGV[1])
if used + math.max(cost, 1) > tonumber(ARGV[2]) then return {used, 0} end
if cost > 0 then
  used = used + cost
  redis.call('SET', KEYS[1], used, 'EX', ARGV[4])
end
return {used, 1}
"""


class RedisRateLimiter:
    """Counts in Redis, for all processes together; without Redis, for `cool_down_s` at a time, in this process.

    A request waits for Redis no longer than `timeout_s`, and only one request in each cool-down does while it is away.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        prefix: str = "voxforge:rate",
        timeout_s: float = 0.25,
        cool_down_s: float = 1.0,
    ) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=32,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis.from_pool(pool)
        self._script = self._redis.register_script(_COUNT)
        self._clock = clock
        self._local = LocalRateLimiter(clock)
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._cool_down_s = cool_down_s
        self._away_until: float | None = None

    async def hit(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        if limit is None:
            return self._local.count(key, None)
        if self._away_until is not None:
            if self._clock.monotonic() < self._away_until:
                return self._local.count(key, limit, cost)
            self._away_until = self._clock.monotonic() + self._cool_down_s  # this request tries; the others do not wait
        try:
            usage = await self._count(key, limit, cost)
        except (RedisError, OSError, TimeoutError) as error:
            if self._away_until is None:
                log.warning("Redis is away: rate limits count per process until it is back", error=type(error).__name__)
            self._away_until = self._clock.monotonic() + self._cool_down_s
            return self._local.count(key, limit, cost)
        if self._away_until is not None:
            log.info("Redis is back: rate limits count for all processes together")
            self._away_until = None
        return usage

    async def close(self) -> None:
        await self._redis.aclose()

    async def _count(self, key: str, limit: int, cost: int) -> Usage:
        now = self._clock.now().timestamp()
        window = int(now // WINDOW_S)
        floor = self._local.used(window, key)
        name = f"{self._prefix}:{window}:{key}"
        async with asyncio.timeout(self._timeout_s):
            used, allowed = await self._script(keys=[name], args=[cost, limit, floor, 3 * WINDOW_S])
        self._local.note(window, key, used)
        return _usage(now, limit, used, allowed=bool(allowed))


def _usage(now: float, limit: int | None, used: int, *, allowed: bool) -> Usage:
    reset = (int(now // WINDOW_S) + 1) * WINDOW_S
    remaining = max(0, limit - used) if limit is not None else 0
    return Usage(limit, remaining, reset, allowed, 0 if allowed else max(1, ceil(reset - now)))
