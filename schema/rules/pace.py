"""The pace of a number: so many dials a second, and a pause when its carrier cannot take them (`telephony.md`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from schema.rules.calls import EndReason

LATE = timedelta(seconds=0.25)
"""A call that comes to its place later than this gets a new one, or several late ones would be dialed at once."""

SOON = timedelta(seconds=2)
"""A place that is nearer than this is waited for under the call's lease; longer than a queue goes without a look."""

_ONE_BY_ONE = timedelta(seconds=1)  # while a carrier takes nothing, its calls knock one at a time
_PATIENCE = 3  # refused dials in a row that may be about the numbers dialed
_LONGEST_PAUSE_S = 60
_LONGEST_BACKOFF_S = 600
_MOST_IN_LINE = 1_000  # calls at the same time of the largest plan (decision K6), each in its place
_FURTHEST = timedelta(seconds=_MOST_IN_LINE + _LONGEST_PAUSE_S)  # one by one, after the longest pause
_CAMPAIGN_PATIENCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """When a call may be dialed, and when the next one's place is free."""

    at: datetime
    next_free: datetime | None


def place(calls_per_second: int | None, next_free: datetime | None, given: datetime | None, now: datetime) -> Place:
    """The place of a call that wants to be dialed; `given` is the one it was told before, which it keeps."""
    furthest = now + _FURTHEST + (_MOST_IN_LINE * apart(calls_per_second) if calls_per_second else timedelta())
    if given is not None and now <= given + LATE and given <= furthest:
        return Place(max(given, now), next_free)
    free = max(now, next_free) if next_free is not None else now
    if free > furthest:
        free = now  # no line is so long: the clock has been set back
    if calls_per_second is not None:
        return Place(free, free + apart(calls_per_second))
    return Place(free, free + _ONE_BY_ONE if free > now else next_free)


def apart(calls_per_second: int) -> timedelta:
    """Between two places; rounded up, or the fourth of three calls a second would come within the same second."""
    return timedelta(microseconds=-(-1_000_000 // calls_per_second))


def pause_s(setbacks: int) -> float:
    """Seconds that a number rests after `setbacks` dials in a row that its carrier could not take."""
    return 0 if setbacks < _PATIENCE else min(_LONGEST_PAUSE_S, 2 ** (setbacks - _PATIENCE + 1))


def backoff_s(attempts: int) -> float:
    """Seconds that a call waits after `attempts` dials that its carrier could not take, if that did not say."""
    return 0 if attempts < 2 else min(_LONGEST_BACKOFF_S, 5 * 2 ** (attempts - 2))


def may_try_again(reason: EndReason, attempts: int, age: timedelta, *, is_of_campaign: bool) -> bool:
    """Whether a call that no carrier took, `attempts` times, is tried once more (Q.850 34 and 27).

    `age`: since it was made. A campaign has a day for it, however often: an outage must not use up its contacts.
    """
    if is_of_campaign:
        return age < _CAMPAIGN_PATIENCE
    return attempts < (6 if reason is EndReason.CARRIER_CONGESTION else 2)
