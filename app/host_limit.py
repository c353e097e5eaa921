"""How many requests a key may make a minute, counted for all processes of a host together (decision K5).

The counts are a table in a file of the data directory: some microseconds a request, where a database file takes tens
and starves whoever waits. Its lock is `flock`, which the kernel takes from a process that dies. Who holds it waits for
nothing, and reads the clock only then, so no request counts in a minute that is over for another. The table has a fixed
size; what finds no place in it is counted in its process.

Others may do to the file what they like while servers run. It is read and written, never mapped: a mapped file that
somebody shortens kills whoever touches it. What is not there reads as unused, and what is no count is taken for none.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from weakref import finalize

import structlog

from app.rate_limit import WINDOW_S, LocalRateLimiter, Usage, usage_at
from schema.clock import Clock

log = structlog.get_logger("voxforge.rate_limit")

FILE = "rate-limits"
"""Its name in the data directory; it need not be kept."""

_SLOT = Struct("=16sqI4x")  # the key's digest, when its window ends, and what was counted in it
_SLOTS = 1 << 15
_PLACES = 8  # where a key may stand, from the one that its digest names; no table has fewer
_LONGEST_S = 3600  # no window is longer
_SPINS, _WAITS, _WAIT_S = 20, 100, 0.005
_LOOK_S = 1.0  # how often a process looks whether its file still has the name


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
        self._look_at = 0.0
        self._close_file: Callable[[], object] = lambda: None

    async def hit(self, key: str, limit: int | None, cost: int = 1) -> Usage:
        if limit is None or not await self._lock():
            return self.local.count(key, limit, cost)
        try:
            usage = self._count(key, limit, cost)
        except OSError as error:  # such as a full disk
            self._is_away(error)
            return self.local.count(key, limit, cost)
        finally:
            self._unlock()
        self._is_back()
        return usage

    def note_all(self, window: int, used: Mapping[str, int]) -> None:
        """As `Fallback.note_all`. It waits for nobody: while others keep the table for long, it is left as it is."""
        self.local.note_all(window, used)
        if self._is_cooling_down():
            return
        try:
            if not any(self._has_lock() for _ in range(_SPINS)):
                return
            try:
                for key, known in used.items():
                    self._raise(window, key, known)
            finally:
                self._unlock()
        except OSError as error:
            self._is_away(error)
        else:
            self._is_back()

    async def close(self) -> None:
        await self.local.close()
        self._close()

    def _close(self) -> None:
        self._close_file()
        self._file = None
        self._look_at = 0.0

    def _count(self, key: str, limit: int, cost: int) -> Usage:
        now = self._clock.now().timestamp()
        window = int(now // self._window_s)
        ends = (window + 1) * self._window_s
        digest = self._digest(key)
        offset, used = self._find(digest, ends, now)
        if offset is None:
            return self.local.count(key, limit, cost)
        used = max(used, self.local.known(window, key))
        allowed = used + max(cost, 1) <= limit
        if allowed and cost:
            used += cost
            self._write(offset, digest, ends, used)
        self.local.note(window, key, used)
        return usage_at(now, limit, used, self._window_s, allowed=allowed)

    def _raise(self, window: int, key: str, known: int) -> None:
        ends = (window + 1) * self._window_s
        digest = self._digest(key)
        offset, used = self._find(digest, ends, self._clock.now().timestamp())
        if offset is not None and known > used:
            self._write(offset, digest, ends, known)

    def _digest(self, key: str) -> bytes:
        return blake2b(f"{self._window_s} {key}".encode(), digest_size=16).digest()

    def _find(self, digest: bytes, ends: int, now: float) -> tuple[int | None, int]:
        """Where the key stands, and its count; else the place that has been out of use for the longest, and 0."""
        first = int.from_bytes(digest[:4]) % self._slots
        free, since = None, now
        for number, (held, ending, used) in enumerate(_SLOT.iter_unpack(self._read(first))):
            offset = (first + number) % self._slots * _SLOT.size
            if held == digest and ending == ends:
                return offset, used
            until = ending if ending <= now + _LONGEST_S else 0  # by a clock that was set back since
            if until <= since:
                free, since = offset, until
        return free, 0

    def _read(self, first: int) -> bytes:
        """The places that begin there; the first of the table follow its last."""
        assert self._file is not None  # noqa: S101 (whoever has the lock has it)
        until_end = min(_PLACES, self._slots - first) * _SLOT.size
        found = os.pread(self._file, until_end, first * _SLOT.size).ljust(until_end, b"\0")
        rest = _PLACES * _SLOT.size - until_end
        return found + os.pread(self._file, rest, 0).ljust(rest, b"\0") if rest else found

    def _write(self, offset: int, digest: bytes, ends: int, used: int) -> None:
        assert self._file is not None  # noqa: S101 (whoever has the lock has it)
        os.pwrite(self._file, _SLOT.pack(digest, ends, used), offset)

    async def _lock(self) -> bool:
        """Whether this process has the table now; it must not wait for anything before `_unlock`."""
        if self._is_cooling_down():
            return False
        if self._away_until is not None:
            self._away_until = self._clock.monotonic() + self._cool_down_s  # this hit tries; the others do not wait
        try:
            if not await self._has_turn():
                raise TimeoutError("another process holds the file")
        except OSError as error:
            self._is_away(error)
            return False
        return True

    async def _has_turn(self) -> bool:
        for attempt in range(_SPINS + _WAITS):
            if self._has_lock():
                return True
            if attempt >= _SPINS:
                await asyncio.sleep(_WAIT_S)
        return False

    def _has_lock(self) -> bool:
        """Try once. Raises OSError, and then the lock is nobody's."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            self._close_file = finalize(self, os.close, self._file)  # also when nobody calls `close`
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.sched_yield()
            return False
        if self._clock.monotonic() < self._look_at:
            return True
        try:
            if self._is_ours():
                self._look_at = self._clock.monotonic() + _LOOK_S
                return True
        except OSError:
            self._unlock()
            raise
        self._close()  # and with it the lock
        return False

    def _is_ours(self) -> bool:
        """Whether the file is still the one of that name, where other processes look. Makes room for the table."""
        assert self._file is not None  # noqa: S101 (it is locked)
        opened = os.fstat(self._file)
        try:
            named = os.lstat(self._path)
        except FileNotFoundError:
            return False
        missing = self._slots * _SLOT.size - opened.st_size
        if missing > 0:
            os.pwrite(self._file, bytes(missing), opened.st_size)  # written, not only sized: a full disk says so here
        return os.path.samestat(opened, named)

    def _unlock(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _is_cooling_down(self) -> bool:
        return self._away_until is not None and self._clock.monotonic() < self._away_until

    def _is_away(self, error: Exception) -> None:
        if self._away_until is None:
            log.warning(
                "the file of rate limits cannot be used: they count per process until it can",
                path=str(self._path),
                error=str(error),
            )
        self._away_until = self._clock.monotonic() + self._cool_down_s

    def _is_back(self) -> None:
        if self._away_until is not None:
            log.info("rate limits count for all processes of this host together again")
            self._away_until = None
