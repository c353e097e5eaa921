"""Instants as the API reads and writes them (decision R4)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from schema.errors import Invalid

_EXAMPLE = "2025-02-15T10:00:00Z"
_LAST_MICROSECOND = timedelta(days=1) - timedelta(microseconds=1)

# Dates: calendar, week and ordinal, extended or basic. Lower-case `t` and `z` are RFC 3339's and harmless; a space for
# the `T` is not ISO 8601 and, in a query string, is what an unescaped `+` turns into.
_DATE = r"""
    (?P<year>[0-9]{4}) (?:
        -(?P<month>[0-9]{2})-(?P<day>[0-9]{2}) | (?P<month_b>[0-9]{2})(?P<day_b>[0-9]{2})
      | -W(?P<week>[0-9]{2})-(?P<weekday>[1-7]) | W(?P<week_b>[0-9]{2})(?P<weekday_b>[1-7])
      | -(?P<ordinal>[0-9]{3}) | (?P<ordinal_b>[0-9]{3})
    )"""
_TIME = r"""
    (?P<hour>[0-9]{2}) (?:
        :(?P<minute>[0-9]{2}) (?: :(?P<second>[0-9]{2}) (?: [.,](?P<fraction>[0-9]{1,30}))? )?
      | (?P<minute_b>[0-9]{2}) (?: (?P<second_b>[0-9]{2}) (?: [.,](?P<fraction_b>[0-9]{1,30}))? )?
    )?"""
_OFFSET = r"(?P<offset> [Zz] | [+-][0-9]{2} (?: :?[0-9]{2} )? )"
_DATE_ONLY = re.compile(_DATE, re.VERBOSE | re.ASCII)
_INSTANT = re.compile(rf"{_DATE}[Tt]{_TIME}{_OFFSET}?", re.VERBOSE | re.ASCII)


def parse_instant(text: object, field: str) -> datetime:
    """Any ISO 8601 instant with an offset or `Z`, as an aware datetime in UTC; parts of a microsecond are dropped.

    Raises `Invalid`, naming `field`, for anything else: no offset, a bare date, a leap second (`:60`), a day or an
    hour that does not exist, an instant outside the years 1 to 9999.
    """
    match = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _not_an_instant(field)
    if match["offset"] is None:
        raise Invalid(f"{field} needs an offset or Z, such as {_EXAMPLE}")
    try:
        hour, minute, second = (int(_either(match, part) or 0) for part in ("hour", "minute", "second"))
        microsecond = int((_either(match, "fraction") or "")[:6].ljust(6, "0"))
        midnight_after = hour == 24 and minute == second == microsecond == 0
        wall = datetime.combine(_date(match), datetime.min.time()).replace(
            hour=0 if midnight_after else hour, minute=minute, second=second, microsecond=microsecond
        )
        if midnight_after:
            wall += timedelta(days=1)
        return wall.replace(tzinfo=_offset(match["offset"])).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_an_instant(field) from None


def format_instant(instant: datetime) -> str:
    """`2025-01-15T14:23:00Z`: UTC, whole seconds, the rest cut off. Raises `ValueError` for a naive datetime."""
    if instant.tzinfo is not UTC:
        if instant.tzinfo is None:
            raise ValueError("an instant has a time zone")
        instant = instant.astimezone(UTC)
    return instant.isoformat()[:19] + "Z"


def parse_from(text: object, field: str = "from") -> datetime:
    """The first instant that a `from` filter includes: the instant itself, or the start of a bare date's UTC day."""
    day = _parse_date(text, field)
    return parse_instant(text, field) if day is None else day


def parse_to(text: object, field: str = "to") -> datetime:
    """The last microsecond that a `to` filter includes.

    A bare date includes its whole UTC day. An instant in whole seconds includes that whole second, because rows are
    shown in whole seconds: a row shown with exactly that `createdAt` is found. An instant with a fraction is exact.
    """
    day = _parse_date(text, field)
    if day is not None:
        return day + _LAST_MICROSECOND
    instant = parse_instant(text, field)
    return instant if instant.microsecond else instant.replace(microsecond=999_999)


def check_range(start: datetime | None, end: datetime | None) -> None:
    """Raises `Invalid` for a `from` after its `to` (decision R7)."""
    if start is not None and end is not None and start > end:
        raise Invalid("from must not be after to")


def _parse_date(text: object, field: str) -> datetime | None:
    match = _DATE_ONLY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        return datetime.combine(_date(match), datetime.min.time(), UTC)
    except ValueError:
        raise Invalid(f"{field} must be a date such as {_EXAMPLE[:10]} or an instant such as {_EXAMPLE}") from None


def _not_an_instant(field: str) -> Invalid:
    return Invalid(f"{field} must be an ISO 8601 instant such as {_EXAMPLE}")


def _either(match: re.Match[str], part: str) -> str | None:
    """The part of that name, from the extended format or the basic one."""
    groups = match.groupdict()
    found: str | None = groups[part] or groups.get(f"{part}_b")
    return found


def _date(match: re.Match[str]) -> date:
    year = int(match["year"])
    if week := _either(match, "week"):
        return date.fromisocalendar(year, int(week), int(_either(match, "weekday") or 1))
    if ordinal := _either(match, "ordinal"):
        day = date(year, 1, 1) + timedelta(days=int(ordinal) - 1)
        if day.year != year:
            raise ValueError("no such day in that year")
        return day
    return date(year, int(_either(match, "month") or 0), int(_either(match, "day") or 0))


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError("no such offset")
    distance = timedelta(hours=hours, minutes=minutes)
    return timezone(-distance if text[0] == "-" else distance)
