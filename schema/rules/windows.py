"""Call windows: when a campaign may dial, by the wall clock of its time zone (decision P4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from schema.errors import Invalid

CLOCK = "([01][0-9]|2[0-3]):([0-5][0-9])"
_CLOCK = re.compile(CLOCK, re.ASCII)
_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})

# Far enough to pass a day that a zone skipped altogether (Apia, 2011-12-30) and one whose window fell into a gap.
_DAYS_AHEAD = 6
_STEP = timedelta(hours=6)  # no zone has changed its clock twice within it
_FIRST = datetime(1, 1, 15, tzinfo=UTC)
_LAST = datetime(9999, 12, 15, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CallWindow:
    """From `start`, inclusive, to `end`, exclusive, every day in `zone`; crosses midnight when `end` is before `start`.

    Make one with `parse_window`, which checks that the two differ.
    """

    start: time
    end: time
    zone: ZoneInfo


def parse_window(start: str, end: str, timezone: str, field: str = "callWindow") -> CallWindow:
    """The window of a campaign. Raises `Invalid` for anything but two different `HH:MM` and an IANA zone."""
    opens, closes = _parse_time(start, f"{field}.start"), _parse_time(end, f"{field}.end")
    if opens == closes:
        raise Invalid(f"{field}.start and {field}.end must differ")
    return CallWindow(opens, closes, parse_zone(timezone))


def parse_zone(name: str, field: str = "timezone") -> ZoneInfo:
    """The zone of that IANA name, spelled exactly. Raises `Invalid` for any other."""
    if name not in zone_names():
        raise Invalid(f"{field} must be an IANA time zone such as America/New_York")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """The names of the IANA database, whatever else this machine's zone directory holds."""
    listed = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(listed) - _NOT_PLACES


def is_open(window: CallWindow | None, now: datetime) -> bool:
    """Whether the wall clock in the zone stands inside the window; no window is always open. `now` is aware."""
    if window is None:
        return True
    clock = min(max(now, _FIRST), _LAST).astimezone(window.zone).time()
    if window.start < window.end:
        return window.start <= clock < window.end
    return clock >= window.start or clock < window.end


def next_open(window: CallWindow | None, now: datetime) -> datetime:
    """The first instant, `now` or later, at which the window is open, in UTC.

    Arithmetic only proposes: each day's opening time, as either side of a repeated hour, and each clock change, which
    may land inside a window. The wall clock decides.
    """
    now = now.astimezone(UTC)
    if window is None or is_open(window, now) or not _FIRST < now < _LAST:
        return now
    opening = min(instant for instant in _openings(window, now) if instant > now and is_open(window, instant))
    changes = (instant for instant in _clock_changes(window.zone, now, opening) if is_open(window, instant))
    return next(changes, opening)


def _openings(window: CallWindow, now: datetime) -> Iterator[datetime]:
    today = now.astimezone(window.zone).date()
    for days in range(-1, _DAYS_AHEAD + 1):
        opening = datetime.combine(today + timedelta(days=days), window.start, window.zone)
        yield opening.astimezone(UTC)
        yield opening.replace(fold=1).astimezone(UTC)


def _clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants after `start` and before `end` at which the zone's offset changes, to the second."""
    before = start.replace(microsecond=0)
    while before < end:
        after = min(before + _STEP, end)
        if _offset(zone, before) != _offset(zone, after):
            low, high = before, after
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                if _offset(zone, middle) == _offset(zone, before):
                    low = middle
                else:
                    high = middle
            yield high
        before = after


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()


def _parse_time(text: str, field: str) -> time:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise Invalid(f"{field} must be a time such as 09:00, from 00:00 to 23:59")
    return time(int(match[1]), int(match[2]))
