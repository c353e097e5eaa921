"""Call windows: when a campaign may dial, by the wall clock of a time zone, on chosen weekdays (decision P4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from itertools import count, islice
from typing import Any
from zoneinfo import ZoneInfo

from schema.errors import Invalid

CLOCK = "([01][0-9]|2[0-3]):([0-5][0-9])"
_CLOCK = re.compile(CLOCK, re.ASCII)
_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY = frozenset(range(len(WEEKDAYS)))

HORIZON = timedelta(days=14)
"""How far `next_open_in_all` looks."""

# Enough to pass today's, one on a day that the zone skipped (Apia, 2011-12-30) and one that fell into a gap.
_OPENINGS_AHEAD = 8
_STEP = timedelta(hours=6)  # no zone has changed its clock twice within it
_DAY = timedelta(days=1)
_FIRST = datetime(1, 1, 15, tzinfo=UTC)
_LAST = datetime(9999, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CallWindow:
    """From `start`, inclusive, to `end`, exclusive, in `zone`, opening on `days` (0 = Monday … 6 = Sunday).

    It ends on the day after when `end` is not after `start`: from 22:00 to 02:00 on Fridays runs into Saturday, and
    from 00:00 to 00:00 is the whole day. Make one with `parse_window` or `whole_days`, which check.
    """

    start: time
    end: time
    zone: ZoneInfo
    days: frozenset[int] = EVERY_DAY


def parse_window(start: str, end: str, timezone: str, days: Any = None, field: str = "callWindow") -> CallWindow:
    """The window of a campaign, on every day or on `days` as `parse_days` takes them.

    Raises `Invalid` for anything but two different `HH:MM` and an IANA zone, and for bad days.
    """
    opens, closes = _parse_time(start, f"{field}.start"), _parse_time(end, f"{field}.end")
    if opens == closes:
        raise Invalid(f"{field}.start and {field}.end must differ")
    return CallWindow(opens, closes, parse_zone(timezone), EVERY_DAY if days is None else parse_days(days))


def whole_days(days: Any, timezone: str) -> CallWindow:
    """Any hour of those days: a window without hours. Raises `Invalid` for bad days and an unknown zone."""
    return CallWindow(time(0), time(0), parse_zone(timezone), parse_days(days))


def parse_days(value: Any, field: str = "callDays") -> frozenset[int]:
    """`["monday", …]` as 0 = Monday … 6 = Sunday. Raises `Invalid` for an empty list, a day twice, anything else."""
    if not isinstance(value, list) or not value:
        raise Invalid(f"{field} must be a list of at least one day")
    for day in value:
        if day not in WEEKDAYS:
            raise Invalid(f"{field} must contain only: {', '.join(WEEKDAYS)}")
    if len(set(value)) < len(value):
        raise Invalid(f"{field} must not contain a day twice")
    return frozenset(WEEKDAYS.index(day) for day in value)


def parse_zone(name: str, field: str = "timezone") -> ZoneInfo:
    """The zone of that IANA name, spelled exactly. Raises `Invalid` for any other."""
    if name not in zone_names():
        raise Invalid(f"{field} must be an IANA time zone such as America/New_York")
    return _zone(name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """The names of the IANA database, whatever else this machine's zone directory holds."""
    listed = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(listed) - _NOT_PLACES


def is_open(window: CallWindow | None, now: datetime) -> bool:
    """Whether the wall clock in the zone stands inside the window; no window is always open. `now` is aware.

    After midnight, a window that crosses it is open if the calendar's day before is one of its days.
    """
    if window is None:
        return True
    local = min(max(now, _FIRST), _LAST).astimezone(window.zone)
    clock, day = local.time(), local.weekday()
    if window.start < window.end:
        return window.start <= clock < window.end and day in window.days
    return (clock >= window.start and day in window.days) or (clock < window.end and (day - 1) % 7 in window.days)


def next_open(window: CallWindow | None, now: datetime) -> datetime:
    """The first instant, `now` or later, at which the window is open, in UTC.

    Arithmetic only proposes: the opening time of each of its days, as either side of a repeated hour, and each clock
    change, which may land inside a window. The wall clock decides.
    """
    now = now.astimezone(UTC)
    if window is None or is_open(window, now) or not _FIRST < now < _LAST:
        return now
    opening = min(instant for instant in _openings(window, now) if instant > now and is_open(window, instant))
    changes = (instant for instant in _clock_changes(window.zone, now, opening) if is_open(window, instant))
    return next(changes, opening)


def open_in_all(window: CallWindow | None, zones: Iterable[str], now: datetime) -> bool:
    """Whether the window is open by the wall clock of every one of these IANA zones, whatever its own zone.

    Fails closed: somebody may be in any of them. Where no zone is known, the window's own counts.
    """
    return all(is_open(local, now) for local in _locally(window, zones))


def next_open_in_all(window: CallWindow | None, zones: Iterable[str], now: datetime) -> datetime | None:
    """The first instant, `now` or later, at which `open_in_all`, in UTC; None if there is none within `HORIZON`."""
    windows = _locally(window, zones)
    instant = now.astimezone(UTC)
    if not _FIRST < instant < _LAST - HORIZON:
        return instant
    latest = instant + HORIZON
    while instant <= latest:
        closed = next((local for local in windows if not is_open(local, instant)), None)
        if closed is None:
            return instant
        instant = next_open(closed, instant)  # until then it is closed there, so it is not open in all
    return None


def _locally(window: CallWindow | None, zones: Iterable[str]) -> tuple[CallWindow, ...]:
    if window is None:
        return ()
    return tuple(replace(window, zone=_zone(name)) for name in zones) or (window,)


@lru_cache(maxsize=1024)  # ZoneInfo itself remembers eight, and reads a file for every other
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _openings(window: CallWindow, now: datetime) -> Iterator[datetime]:
    """The opening times of the next days of the window, yesterday's among them, in UTC."""
    yesterday = now.astimezone(window.zone).date() - _DAY
    days = (day for day in map(yesterday.__add__, map(timedelta, count())) if day.weekday() in window.days)
    for day in islice(days, _OPENINGS_AHEAD):
        opening = datetime.combine(day, window.start, window.zone)
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
