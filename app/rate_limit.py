"""How many requests a key may make a minute, counted in fixed windows (decision K5).

A window is a minute of the wall clock of the process that counts. Processes whose clocks differ by d seconds count
the requests of those d seconds around a whole minute in different windows: exactness across hosts wants NTP.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from schema.clock import Clock

log = structlog.get_logger("voxforge.rate_limit")

WINDOW_S = 60
"""How long a window is, unless a limiter is made for longer ones: seconds that divide an hour."""
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


class Fallback(RateLimiter, Protocol):
    """Counts when Redis cannot; `local` holds what this process has seen counted, by either."""

    local: LocalRateLimiter

    def note_all(self, window: int, used: Mapping[str, int]) -> None:
        """Remember what Redis has counted in that window, by key, for whoever counts when it is away."""


class LocalRateLimiter:
    """Counts in this process, on its event loop. Of more than `most_keys` the least recently counted are forgotten."""

    def __init__(self, clock: Clock, *, most_keys: int = 50_000, window_s: int = WINDOW_S) -> None:
        self._clock = clock
        self._window_s = window_s
        self._most_keys = most_keys
        self._window = 0
        self._used: dict[str, int] = {}
        self.local: LocalRateLimiter = self

    async def hit(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        return self.count(key, limit, cost)

    async def close(self) -> None:
        self._used.clear()

    def count(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        """As `hit`, without waiting."""
        now = self._clock.now().timestamp()
        if limit is None:
            return usage_at(now, None, 0, self._window_s, allowed=True)
        window = int(now // self._window_s)
        used = self.known(window, key)
        allowed = used + max(cost, 1) <= limit
        if allowed and cost:
            used += cost
            if window < self._window:  # the clock was set back
                self._window = 0
            self.note(window, key, used)
        return usage_at(now, limit, used, self._window_s, allowed=allowed)

    def known(self, window: int, key: str) -> int:
        """What is known to be counted for `key` in that window."""
        return self._used.get(key, 0) if window == self._window else 0

    def note(self, window: int, key: str, used: int) -> None:
        """Remember that `key` has used that much, or more if more is known, and forget all earlier windows."""
        if window > self._window:
            self._window = window
            self._used.clear()
        elif window < self._window:
            return
        self._used[key] = max(used, self._used.pop(key, 0))
        if len(self._used) > self._most_keys:
            del self._used[next(iter(self._used))]

    def note_all(self, window: int, used: Mapping[str, int]) -> None:
        """As `note`, for each key."""
        for key, known in used.items():
            self.note(window, key, known)


# For each key: its cost, its limit, and what this process knows to be counted. That is a floor: a Redis that was
# emptied, or was away while processes counted for themselves, does not hand out the window a second time.
_COUNT = """
local answers = {}
for i, key in ipairs(KEYS) do
  local cost, limit, floor = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local used = math.max(tonumber(redis.call('GET', key) or '0'), floor)
  local allowed = used + math.max(cost, 1) <= limit
  if allowed and cost > 0 then
    used = used + cost
    redis.call('SET', key, used, 'EX', ARGV[1])
  end
  answers[2 * i - 1] = used
  answers[2 * i] = allowed and 1 or 0
end
return answers
"""
_MOST_AT_ONCE = 500


class _RedisAway(Exception):
    """Redis did not answer, or not in time."""


@dataclass(frozen=True, slots=True)
class _Hit:
    window: int
    key: str
    limit: int
    cost: int
    answer: asyncio.Future[tuple[int, bool]]


class RedisRateLimiter:
    """Counts in Redis, for all processes together; without Redis, for `cool_down_s` at a time, in `fallback`.

    That is this process if none is given.

    One question to Redis is under way at a time, and the hits that come meanwhile are the next. A hit waits for Redis
    hardly longer than `timeout_s`; while Redis is away only one hit in each cool-down does.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        prefix: str = "voxforge:rate",
        timeout_s: float = 0.25,
        cool_down_s: float = 1.0,
        window_s: int = WINDOW_S,
        fallback: Fallback | None = None,
    ) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
        self._script = self._redis.register_script(_COUNT)
        self._clock = clock
        self._fallback = fallback or LocalRateLimiter(clock, window_s=window_s)
        self._local = self._fallback.local
        self._window_s = window_s
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._cool_down_s = cool_down_s
        self._away_until: float | None = None
        self._waiting: list[_Hit] = []
        self._asking: asyncio.Task[None] | None = None

    async def hit(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        if limit is None:
            return self._local.count(key, None)
        if self._away_until is not None:
            if self._clock.monotonic() < self._away_until:
                return await self._fallback.hit(key, limit, cost)
            self._away_until = self._clock.monotonic() + self._cool_down_s  # this hit tries; the others do not wait
        now = self._clock.now().timestamp()
        answer: asyncio.Future[tuple[int, bool]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Hit(int(now // self._window_s), key, limit, cost, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_for_all())
        try:
            used, allowed = await answer
        except _RedisAway:
            return await self._fallback.hit(key, limit, cost)
        return usage_at(now, limit, used, self._window_s, allowed=allowed)

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await self._redis.aclose()
        await self._fallback.close()

    async def _ask_for_all(self) -> None:
        hits: list[_Hit] = []
        try:
            while self._waiting:
                hits, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._ask(hits)
                self._is_back()
        except (RedisError, OSError, TimeoutError) as error:
            self._is_away(error)
        finally:  # whatever happened, nobody waits for ever
            self._asking = None
            left, self._waiting = [*hits, *self._waiting], []
            for hit in left:
                if not hit.answer.done():
                    hit.answer.set_exception(_RedisAway())

    async def _ask(self, hits: Sequence[_Hit]) -> None:
        names = [f"{self._prefix}:{hit.window}:{hit.key}" for hit in hits]
        numbers = [3 * self._window_s]
        for hit in hits:
            numbers += [hit.cost, hit.limit, self._local.known(hit.window, hit.key)]
        async with asyncio.timeout(self._timeout_s):
            answers = await self._script(keys=names, args=numbers)
        counted: defaultdict[int, dict[str, int]] = defaultdict(dict)
        for hit, used, allowed in zip(hits, answers[::2], answers[1::2], strict=True):
            counted[hit.window][hit.key] = used  # the last answer has the most
            if not hit.answer.done():  # else its request was cancelled
                hit.answer.set_result((used, bool(allowed)))
        for window, keys in counted.items():
            self._fallback.note_all(window, keys)

    def _is_away(self, error: Exception) -> None:
        if self._away_until is None:
            log.warning("Redis is away: rate limits count per host until it is back", error=type(error).__name__)
        self._away_until = self._clock.monotonic() + self._cool_down_s

    def _is_back(self) -> None:
        if self._away_until is not None:
            log.info("Redis is back: rate limits count for all processes together")
            self._away_until = None


def usage_at(now: float, limit: int | None, used: int, window_s: int, *, allowed: bool) -> Usage:
    """What a key has left at that instant, having used so much of its window."""
    reset = (int(now // window_s) + 1) * window_s
    remaining = max(0, limit - used) if limit is not None else 0
    return Usage(limit, remaining, reset, allowed, 0 if allowed else max(1, ceil(reset - now)))
