"""A window where the person called is, when that may be any of several zones."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.rules.phone import zones
from schema.rules.windows import (
    HORIZON,
    CallWindow,
    is_open,
    next_open_in_all,
    open_in_all,
    parse_window,
)
from tests.schema.rules.test_windows import CHANGES, WINDOWS

MINUTE = timedelta(minutes=1)
COASTS = ("America/New_York", "America/Los_Angeles")


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=3, unique=True),
    day=st.sampled_from(sorted({day for days in CHANGES.values() for day in days})),
    hours=st.sampled_from([*WINDOWS, ("06:00", "22:00"), ("09:00", "01:00")]),
    days=st.sets(st.integers(0, 6), min_size=1).map(frozenset),
    minutes=st.integers(-3 * 1_440, 1_440),
)
def test_the_next_opening_is_the_first_minute_that_is_open_everywhere(
    places: list[str], day: str, hours: tuple[str, str], days: frozenset[int], minutes: int
) -> None:
    start, end = map(time.fromisoformat, hours)
    window = CallWindow(start, end, ZoneInfo("Asia/Tokyo"), days)
    there = [CallWindow(start, end, ZoneInfo(place), days) for place in places]
    now = datetime.fromisoformat(f"{day}T00:00:00+00:00") + MINUTE * minutes

    scan = (now + MINUTE * step for step in range(HORIZON // MINUTE + 1))
    first = next((minute for minute in scan if all(is_open(local, minute) for local in there)), None)

    assert next_open_in_all(window, places, now) == first
    assert open_in_all(window, places, now) == (first == now)


def test_the_windows_own_zone_is_not_asked() -> None:
    window = parse_window("09:00", "17:00", "Asia/Tokyo")
    noon = datetime.fromisoformat("2025-01-15T12:00:00-05:00")

    assert not is_open(window, noon)
    assert open_in_all(window, ["America/New_York"], noon)


def test_one_zone_in_which_it_is_closed_closes_it() -> None:
    window = parse_window("09:00", "17:00", "UTC")
    nine_in_new_york = datetime.fromisoformat("2025-01-15T09:00:00-05:00")

    assert not open_in_all(window, COASTS, nine_in_new_york)
    assert next_open_in_all(window, COASTS, nine_in_new_york) == datetime.fromisoformat("2025-01-15T09:00:00-08:00")


def test_the_later_zone_opens_and_the_earlier_one_closes() -> None:
    window = parse_window("09:00", "17:00", "UTC")
    closed_in_new_york = datetime.fromisoformat("2025-01-15T17:00:00-05:00")

    assert open_in_all(window, COASTS, closed_in_new_york - timedelta(microseconds=1))
    assert not open_in_all(window, COASTS, closed_in_new_york)
    assert next_open_in_all(window, COASTS, closed_in_new_york) == datetime.fromisoformat("2025-01-16T09:00:00-08:00")


def test_days_are_those_of_each_zone() -> None:
    window = parse_window("20:00", "23:00", "UTC", ["friday"])
    thursday = datetime(2025, 1, 16, 12, tzinfo=UTC)

    assert next_open_in_all(window, COASTS, thursday) is None  # 20:00 in the west is 23:00 in the east
    assert next_open_in_all(window, COASTS[1:], thursday) == datetime.fromisoformat("2025-01-17T20:00:00-08:00")


def test_zones_between_which_clocks_change_apart() -> None:
    window = parse_window("09:00", "17:00", "UTC")
    places = ("America/New_York", "Europe/Berlin")  # six hours apart, five from 9 to 30 March

    def opens(day: str) -> datetime | None:
        return next_open_in_all(window, places, datetime.fromisoformat(f"{day}T00:00:00+00:00"))

    assert opens("2025-03-07") == datetime(2025, 3, 7, 14, tzinfo=UTC)
    assert opens("2025-03-10") == datetime(2025, 3, 10, 13, tzinfo=UTC)
    assert opens("2025-03-31") == datetime(2025, 3, 31, 13, tzinfo=UTC)


@pytest.mark.parametrize("number", ["+18005551234", "+15551234567"])
def test_a_number_that_may_be_anywhere_from_newfoundland_to_guam_has_no_office_hours(number: str) -> None:
    now = datetime(2025, 1, 15, 14, tzinfo=UTC)

    assert next_open_in_all(parse_window("09:00", "17:00", "UTC"), zones(number), now) is None
    assert next_open_in_all(parse_window("08:00", "21:00", "UTC"), zones(number), now) == datetime(
        2025, 1, 15, 22, tzinfo=UTC
    )


def test_where_no_zone_is_known_the_windows_own_counts() -> None:
    window = parse_window("09:00", "17:00", "Asia/Tokyo")
    evening = datetime.fromisoformat("2025-01-15T17:00:00+09:00")

    assert open_in_all(window, [], evening - MINUTE)
    assert not open_in_all(window, [], evening)
    assert next_open_in_all(window, [], evening) == datetime.fromisoformat("2025-01-16T09:00:00+09:00")


def test_no_window_is_any_hour_anywhere() -> None:
    now = datetime(2025, 1, 15, 3, tzinfo=UTC)

    assert open_in_all(None, COASTS, now)
    assert next_open_in_all(None, COASTS, now) == now


@pytest.mark.parametrize("now", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_break_nothing(now: datetime) -> None:
    window = parse_window("09:00", "09:01", "UTC", ["wednesday"])

    assert next_open_in_all(window, COASTS, now) == now
