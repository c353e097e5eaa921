"""Time, injected: the one place that asks what time it is and the one way to wait."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the domain and the workers know of time."""

    def now(self) -> datetime:
        """The instant, timezone-aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
