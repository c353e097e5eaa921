"""Identifiers that look like the document's and sort by creation time (decision R5)."""

from __future__ import annotations

import re
import secrets
import threading
from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_RANDOM_RANGE = 36**13  # 67 bits; the 11 characters before them hold microseconds until the year 6142
ID = "c[0-9a-z]{24}"
_SHAPE = re.compile(ID, re.ASCII)

# A clock that goes back by less than this is outrun; by more, it was set on purpose and is followed.
_BACKWARDS_TICKS = 60_000_000


class _Ticks:
    """Microseconds that never repeat within the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = -1

    def take(self, tick: int) -> int:
        with self._lock:
            if self._last - _BACKWARDS_TICKS < tick <= self._last:
                tick = self._last + 1
            self._last = tick
            return tick


_ticks = _Ticks()


def new_id(now: datetime) -> str:
    """`c` + 24 of `[0-9a-z]`: eleven of time (µs), thirteen random.

    `now` is aware. Within one process each id is greater than the one before, also within a microsecond and when the
    clock stands still or goes back by less than a minute. Thread-safe.
    """
    tick = _ticks.take(max(0, (now - _EPOCH) // _TICK))
    number = tick * _RANDOM_RANGE + secrets.randbelow(_RANDOM_RANGE)
    pairs = [""] * 12
    for place in range(11, -1, -1):
        number, remainder = divmod(number, 1296)
        pairs[place] = _PAIRS[remainder]
    return "c" + "".join(pairs)


def first_id(at: datetime) -> str:
    """The least id that can be made at that instant: ids of rows made before it are less, and it is nobody's."""
    number = max(0, (at - _EPOCH) // _TICK) * _RANDOM_RANGE
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
    return "c" + digits.rjust(24, "0")


def made_at(id: str) -> datetime:
    """When the row of that id was made, to the microsecond; `id` has the shape of one."""
    return _EPOCH + timedelta(microseconds=int(id[1:12], 36))


def id_stem(now: datetime) -> str:
    """What a statement that makes many rows makes their ids of: it appends eight digits that count them.

    Such ids are between those made before and after, and in the order of the digits.
    """
    return new_id(now)[:17]


def is_id(text: str) -> bool:
    """Whether `text` has the shape of an id; says nothing of whether a row has it."""
    return _SHAPE.fullmatch(text) is not None
