"""How many requests a key may make a minute, counted for all processes of a host together (decision K5).

The counts are a table in a file of the data directory, which each process maps into its memory: some microseconds a
request, where a database file takes tens and starves whoever waits. Its lock is `flock`, which the kernel takes from a
process that dies. Who holds it waits for nothing, and reads the clock only then, so no request counts in a minute that
is over for another. The table has a fixed size; what finds no place in it is counted in its process.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from weakref import finalize

import structlog

from app.rate_limit import WINDOW_S, LocalRateLimiter, Usage, usage_at
from schema.clock import Clock

log = structlog.get_logger("voxforge.rate_limit")

FILE = "rate-limits"
"""Its name in the data directory; it may be deleted while nothing runs."""

_SLOT = Struct("=16sqI4x")  # the key's digest, when its window ends, and what was counted in it
_SLOTS = 1 << 15
_PLACES = 8  # where a key may stand, from the one that its digest names
_LONGEST_S = 3600  # no window is longer
_SPINS, _WAITS, _WAIT_S = 20, 100, 0.005


class HostRateLimiter:
    """Counts in a file, for all processes of this host; while that cannot be had, for a second at a time, in `local`.

    `local` also remembers what this process has seen counted: a file that was emptied does not hand out a minute twice.
    """

    def __init__(
        self, path: Path, clock: Clock, *, window_s: int = WINDOW_S, slots: int = _SLOTS, cool_down_s: float = 1.0
    ) -> None:
        self.local = LocalRateLimiter(clock, window_s=window_s)
        self._path = path
        self._clock = clock
        self._window_s = window_s
        self._slots = slots
        self._cool_down_s = cool_down_s
        self._away_until: float | None = None
        self._file: int | None = None
        self._close_file: Callable[[], object] = lambda: None
        self._table: mmap.mmap | None = None

    async def hit(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        if limit is None or not await self._lock():
            return self.local.count(key, limit, cost)
        try:
            return self._count(key, limit, cost)
        finally:
            self._unlock()

    async def close(self) -> None:
        await self.local.close()
        if self._table is not None:
            self._table.close()
        self._close_file()
        self._table = self._file = None

    def _count(self, key: str, limit: int, cost: int) -> Usage:
        assert self._table is not None  # noqa: S101 (whoever has the lock has it)
        now = self._clock.now().timestamp()
        window = int(now // self._window_s)
        ends = (window + 1) * self._window_s
        digest = blake2b(f"{self._window_s} {key}".encode(), digest_size=16).digest()
        offset, used = self._find(self._table, digest, ends, now)
        if offset is None:
            return self.local.count(key, limit, cost)
        used = max(used, self.local.known(window, key))
        allowed = used + max(cost, 1) <= limit
        if allowed and cost:
            used += cost
            _SLOT.pack_into(self._table, offset, digest, ends, used)
        self.local.note(window, key, used)
        return usage_at(now, limit, used, self._window_s, allowed=allowed)

    def _find(self, table: mmap.mmap, digest: bytes, ends: int, now: float) -> tuple[int | None, int]:
        """Where the key stands, and its count; else the place that has been out of use for the longest, and 0."""
        first = int.from_bytes(digest[:4])
        free, since = None, now
        for place in range(first, first + _PLACES):
            offset = place % self._slots * _SLOT.size
            held, until, used = _SLOT.unpack_from(table, offset)
            if held == digest and until == ends:
                return offset, used
            if until > now + _LONGEST_S:  # by a clock that was set back since
                until = 0
            if until <= since:
                free, since = offset, until
        return free, 0

    async def _lock(self) -> bool:
        """Whether this process has the table now; it must not wait for anything before `_unlock`."""
        if self._away_until is not None:
            if self._clock.monotonic() < self._away_until:
                return False
            self._away_until = self._clock.monotonic() + self._cool_down_s  # this hit tries; the others do not wait
        try:
            if not await self._has_turn():
                raise TimeoutError("another process holds the file")
            self._map()
        except (OSError, ValueError) as error:
            self._is_away(error)
            return False
        if self._away_until is not None:
            log.info("rate limits count for all processes of this host together again")
            self._away_until = None
        return True

    async def _has_turn(self) -> bool:
        for attempt in range(_SPINS + _WAITS):
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                self._close_file = finalize(self, os.close, self._file)  # also when nobody calls `close`
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt < _SPINS:
                    os.sched_yield()
                else:
                    await asyncio.sleep(_WAIT_S)
            else:
                return True
        return False

    def _map(self) -> None:
        """Map the table, made if it is not there. Raises OSError, and then the lock is nobody's."""
        if self._table is not None or self._file is None:
            return
        size = self._slots * _SLOT.size
        try:
            if os.fstat(self._file).st_size != size:
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, bytes(size), 0)  # written, not only sized: a full disk says so here
            self._table = mmap.mmap(self._file, size)
        except (OSError, ValueError):
            self._unlock()
            raise

    def _unlock(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _is_away(self, error: Exception) -> None:
        if self._away_until is None:
            log.warning(
                "the file of rate limits cannot be used: they count per process until it can",
                path=str(self._path),
                error=str(error),
            )
        self._away_until = self._clock.monotonic() + self._cool_down_s
