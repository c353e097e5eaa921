"""How often a password may be guessed: failures counted by client address and by e-mail address (decision 0011)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.rate_limit import RateLimiter
from schema.errors import RateLimited, Unauthenticated
from schema.services.sessions import WrongPassword
from schema.services.users import spelled

QUARTER_S = 15 * 60
FAILURES = 10
"""A minute and client address, and a quarter of an hour and e-mail address."""

_TOO_MANY = "Too many failed sign-ins: wait, then try again"


class SignInLimits:
    """Counts failures by client address with `minutes`, by e-mail address with `quarters`.

    Attempts under way count as failures until they are over, so that many at once are no more guesses than one after
    the other. Nothing resets a count but the next window, and nobody is locked out for longer than that.
    """

    def __init__(self, minutes: RateLimiter, quarters: RateLimiter) -> None:
        self._minutes = minutes
        self._quarters = quarters
        self._trying: Counter[str] = Counter()

    @asynccontextmanager
    async def attempt(self, client: str, email: str) -> AsyncIterator[None]:
        """Inside, a password is tried; `client` is `rate_limit_key`'s. Raises RateLimited, whoever has that address."""
        digest = hashlib.sha256(spelled(email).encode()).hexdigest()
        counted = ((self._minutes, f"sign-in-from:{client}"), (self._quarters, f"sign-in-as:{digest}"))
        self._trying.update(key for _, key in counted)
        places = [self._trying[key] for _, key in counted]
        try:
            await self._check(counted, places)
            try:
                yield
            except (Unauthenticated, WrongPassword):
                for limiter, key in counted:
                    await limiter.hit(key, FAILURES)
                raise
        finally:
            for _, key in counted:
                self._trying[key] -= 1
                if not self._trying[key]:
                    del self._trying[key]

    @staticmethod
    async def _check(counted: tuple[tuple[RateLimiter, str], ...], places: list[int]) -> None:
        waits = []
        for (limiter, key), place in zip(counted, places, strict=True):
            usage = await limiter.hit(key, FAILURES, cost=0)
            if usage.remaining < place:
                waits.append(max(usage.retry_after_s, 1))
        if waits:
            raise RateLimited(_TOO_MANY, retry_after_s=max(waits))
