"""Windows that open on chosen weekdays only (decision P4)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.rules.windows import (
    EVERY_DAY,
    WEEKDAYS,
    CallWindow,
    is_open,
    next_open,
    parse_days,
    parse_window,
    whole_days,
)
from tests.schema.rules.test_windows import CHANGES, WINDOWS

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
WORKDAYS = list(WEEKDAYS[:5])
NEAR_A_CHANGE = [(zone, day) for zone, days in CHANGES.items() for day in days]

days_of_a_window = st.sets(st.integers(0, 6), min_size=1).map(frozenset)


def says_the_calendar(window: CallWindow, now: datetime) -> bool:
    """Whether the wall clock stands between the ends of a window that opened on one of its days, by plain dates."""
    wall = now.astimezone(window.zone).replace(tzinfo=None)
    for opened in (wall.date() - DAY, wall.date()):
        opens = datetime.combine(opened, window.start)
        closes = datetime.combine(opened if window.start < window.end else opened + DAY, window.end)
        if opened.weekday() in window.days and opens <= wall < closes:
            return True
    return False


@settings(max_examples=300, deadline=None)
@given(
    near=st.sampled_from(NEAR_A_CHANGE),
    start=st.times(),
    end=st.times(),
    days=days_of_a_window,
    minutes=st.integers(-3 * 1_440, 10 * 1_440),
)
def test_a_window_is_open_when_the_calendar_says_so(
    near: tuple[str, str], start: time, end: time, days: frozenset[int], minutes: int
) -> None:
    zone, day = near
    window = CallWindow(start, end, ZoneInfo(zone), days)
    now = datetime.fromisoformat(f"{day}T00:00:00+00:00") + MINUTE * minutes

    assert is_open(window, now) == says_the_calendar(window, now)


@settings(max_examples=100, deadline=None)
@given(
    near=st.sampled_from(NEAR_A_CHANGE),
    hours=st.sampled_from([*WINDOWS, ("00:00", "00:00")]),
    days=days_of_a_window,
    minutes=st.integers(-8 * 1_440, 2 * 1_440),
)
def test_the_next_opening_is_the_first_minute_that_is_open(
    near: tuple[str, str], hours: tuple[str, str], days: frozenset[int], minutes: int
) -> None:
    (zone, day), (start, end) = near, hours
    window = CallWindow(time.fromisoformat(start), time.fromisoformat(end), ZoneInfo(zone), days)
    now = datetime.fromisoformat(f"{day}T00:00:00+00:00") + MINUTE * minutes

    first = now
    while not is_open(window, first):
        first += MINUTE

    assert next_open(window, now) == first


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize(("zone", "day"), NEAR_A_CHANGE)
def test_one_day_a_week_is_found_from_every_side_of_a_clock_change(zone: str, day: str, later: int) -> None:
    weekday = (date.fromisoformat(day).weekday() + later) % 7
    window = CallWindow(time(2, 10), time(2, 20), ZoneInfo(zone), frozenset({weekday}))
    minutes = [datetime.fromisoformat(f"{day}T00:00:00+00:00") + MINUTE * step for step in range(-1_440, 18 * 1_440)]
    openings = [minute for minute in minutes if is_open(window, minute)]

    for now in minutes[: 3 * 1_440 : 180]:
        assert next_open(window, now) == next(minute for minute in openings if minute >= now)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    window = parse_window("22:00", "02:00", "UTC", ["friday"])

    hours = [datetime(2025, 1, 16, tzinfo=UTC) + timedelta(hours=hour) for hour in range(4 * 24)]  # from a Thursday

    assert [hour for hour in hours if is_open(window, hour)] == [
        datetime(2025, 1, 17, 22, tzinfo=UTC),
        datetime(2025, 1, 17, 23, tzinfo=UTC),
        datetime(2025, 1, 18, 0, tzinfo=UTC),
        datetime(2025, 1, 18, 1, tzinfo=UTC),
    ]


def test_a_weekend_is_passed() -> None:
    window = parse_window("09:00", "17:00", "America/New_York", WORKDAYS)
    friday_evening = datetime.fromisoformat("2025-03-07T17:00:00-05:00")

    assert next_open(window, friday_evening) == datetime.fromisoformat("2025-03-10T09:00:00-04:00")  # clocks changed


def test_a_sunday_whose_window_fell_into_a_gap_is_passed() -> None:
    window = parse_window("02:10", "02:20", "America/New_York", ["sunday"])
    monday = datetime(2025, 3, 3, tzinfo=UTC)

    assert next_open(window, monday) == datetime.fromisoformat("2025-03-16T02:10:00-04:00")


def test_a_friday_that_did_not_happen_is_passed() -> None:
    window = parse_window("09:00", "10:00", "Pacific/Apia", ["friday"])
    friday_at_ten = datetime.fromisoformat("2011-12-23T10:00:00-10:00")

    assert next_open(window, friday_at_ten) == datetime.fromisoformat("2012-01-06T09:00:00+14:00")


def test_days_without_hours_are_whole_days() -> None:
    window = whole_days(["saturday"], "Europe/Berlin")
    opens = datetime.fromisoformat("2025-01-18T00:00:00+01:00")

    assert next_open(window, datetime(2025, 1, 15, 14, tzinfo=UTC)) == opens
    assert not is_open(window, opens - timedelta(microseconds=1))
    assert is_open(window, opens)
    assert is_open(window, opens + DAY - timedelta(microseconds=1))
    assert not is_open(window, opens + DAY)


def test_all_days_without_hours_are_any_hour() -> None:
    window = whole_days(list(WEEKDAYS), "Australia/Lord_Howe")
    minutes = [datetime(2025, 4, 4, tzinfo=UTC) + MINUTE * step for step in range(3 * 1_440)]

    assert all(is_open(window, minute) for minute in minutes)


def test_a_window_without_days_opens_every_day() -> None:
    assert parse_window("09:00", "17:00", "UTC").days == EVERY_DAY
    assert parse_window("09:00", "17:00", "UTC") == parse_window("09:00", "17:00", "UTC", list(WEEKDAYS))


def test_days_are_counted_from_monday() -> None:
    names = [datetime.combine(date(2025, 1, 13) + DAY * day, time(), UTC).strftime("%A").lower() for day in range(7)]

    assert list(WEEKDAYS) == names
    assert parse_days(["sunday", "monday", "friday"]) == frozenset({6, 0, 4})


@pytest.mark.parametrize(
    ("days", "why"),
    [
        ([], "must be a list of at least one day"),
        ("monday", "must be a list of at least one day"),
        ({"monday": True}, "must be a list of at least one day"),
        (["monday", "friday", "monday"], "must not contain a day twice"),
        (["Monday"], f"must contain only: {', '.join(WEEKDAYS)}"),
        (["mon"], f"must contain only: {', '.join(WEEKDAYS)}"),
        ([0], f"must contain only: {', '.join(WEEKDAYS)}"),
        ([None], f"must contain only: {', '.join(WEEKDAYS)}"),
        ([["monday"]], f"must contain only: {', '.join(WEEKDAYS)}"),
    ],
)
def test_other_days_are_refused(days: object, why: str) -> None:
    with pytest.raises(Invalid) as of_window:
        parse_window("09:00", "17:00", "UTC", days)
    with pytest.raises(Invalid) as of_days:
        whole_days(days, "UTC")

    assert of_window.value.message == of_days.value.message == f"callDays {why}"


@pytest.mark.parametrize("now", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_break_nothing(now: datetime) -> None:
    window = parse_window("09:00", "09:01", "Asia/Tokyo", ["wednesday"])

    assert next_open(window, now) == now
