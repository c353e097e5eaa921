"""Call windows by the wall clock of their zone, across clock changes (decision P4)."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.rules.windows import CallWindow, is_open, next_open, parse_window, parse_zone, zone_names

MINUTE = timedelta(minutes=1)

# Days with a clock change or none: forward, back, half an hour, a whole day skipped, at midnight, twice a year around
# Ramadan, and across the date line the other way.
CHANGES = {
    "UTC": ["2025-01-15"],
    "America/New_York": ["2025-03-09", "2025-11-02"],
    "Europe/Berlin": ["2025-03-30", "2025-10-26"],
    "Australia/Lord_Howe": ["2025-04-06", "2025-10-05"],
    "Pacific/Apia": ["2011-12-29", "2011-12-31"],
    "Pacific/Kwajalein": ["1993-08-20", "1993-08-22"],
    "Africa/Casablanca": ["2025-02-23", "2025-04-06"],
    "America/Sao_Paulo": ["2018-11-04", "2018-02-18"],
    "Africa/Cairo": ["2025-04-25", "2025-10-31"],
    "Asia/Kathmandu": ["1986-01-01"],
    "America/Santiago": ["2025-04-06", "2025-09-07"],
    "Asia/Beirut": ["2025-03-30"],
}
WINDOWS = [
    ("09:00", "17:00"),
    ("00:00", "01:00"),
    ("23:30", "00:15"),
    ("01:45", "02:15"),
    ("02:00", "02:30"),
    ("02:10", "02:20"),
    ("02:30", "03:00"),
    ("01:00", "02:00"),
    ("22:00", "02:05"),
    ("00:00", "23:59"),
    ("12:00", "11:59"),
    ("00:30", "00:31"),
]
CASES = [(zone, day, *window) for zone, days in CHANGES.items() for day in days for window in WINDOWS]


@pytest.mark.parametrize(("zone", "day", "start", "end"), CASES)
def test_the_next_opening_is_the_one_a_scan_of_every_minute_finds(zone: str, day: str, start: str, end: str) -> None:
    window = parse_window(start, end, zone)
    minutes = [datetime.fromisoformat(f"{day}T00:00:00+00:00") + MINUTE * step for step in range(-1_440, 4 * 1_440)]
    openings = [minute for minute in minutes if is_open(window, minute)]

    asked = {minute + near for minute in [*openings[::60], *minutes[::30]] for near in (-MINUTE, timedelta(), MINUTE)}
    asked |= {before + MINUTE for before, after in pairwise(openings) if after - before > MINUTE}  # just closed
    asked |= {after - MINUTE for before, after in pairwise(openings) if after - before > MINUTE}  # about to open
    asked = {minute for minute in asked if minutes[0] <= minute < minutes[2 * 1_440]}

    found = {minute: next_open(window, minute) for minute in asked}

    assert found == {minute: openings[bisect_left(openings, minute)] for minute in asked}


def test_start_is_inclusive_and_end_exclusive() -> None:
    window = parse_window("09:00", "17:00", "America/New_York")

    def at(clock: str) -> bool:
        return is_open(window, datetime.fromisoformat(f"2025-01-15T{clock}-05:00"))

    assert not at("08:59:59.999999")
    assert at("09:00:00")
    assert at("16:59:59.999999")
    assert not at("17:00:00")


def test_a_window_may_cross_midnight() -> None:
    window = parse_window("22:00", "02:00", "UTC")

    open_hours = [hour for hour in range(24) if is_open(window, datetime(2025, 1, 15, hour, tzinfo=UTC))]

    assert open_hours == [0, 1, 22, 23]


def test_a_window_may_end_at_midnight() -> None:
    window = parse_window("20:00", "00:00", "UTC")

    open_hours = [hour for hour in range(24) if is_open(window, datetime(2025, 1, 15, hour, tzinfo=UTC))]

    assert open_hours == [20, 21, 22, 23]


def test_an_open_window_opens_now() -> None:
    window = parse_window("09:00", "17:00", "UTC")
    now = datetime(2025, 1, 15, 12, 30, 15, 250, tzinfo=UTC)

    assert next_open(window, now) == now


def test_no_window_is_any_hour() -> None:
    now = datetime(2025, 1, 15, 3, tzinfo=UTC)

    assert is_open(None, now)
    assert next_open(None, now) == now


def test_a_closed_window_opens_to_the_second() -> None:
    window = parse_window("09:00", "17:00", "America/New_York")
    now = datetime(2025, 1, 15, 22, 0, 0, 1, tzinfo=UTC)

    assert next_open(window, now) == datetime(2025, 1, 16, 14, tzinfo=UTC)


def test_the_clock_change_itself_can_open_a_window() -> None:
    window = parse_window("02:30", "04:00", "America/New_York")  # 02:30 did not happen that day: 01:59 → 03:00
    now = datetime(2025, 3, 9, 5, tzinfo=UTC)

    assert next_open(window, now) == datetime(2025, 3, 9, 7, tzinfo=UTC)


def test_a_window_inside_the_gap_opens_the_day_after() -> None:
    window = parse_window("02:10", "02:20", "America/New_York")
    now = datetime(2025, 3, 9, 5, tzinfo=UTC)

    assert next_open(window, now) == datetime(2025, 3, 10, 6, 10, tzinfo=UTC)


def test_a_repeated_hour_opens_twice() -> None:
    window = parse_window("01:00", "01:30", "America/New_York")
    first = datetime(2025, 11, 2, 5, tzinfo=UTC)

    assert next_open(window, first) == first
    assert next_open(window, first + timedelta(minutes=30)) == first + timedelta(hours=1)


def test_a_day_that_a_zone_skipped_is_passed() -> None:
    window = parse_window("09:00", "10:00", "Pacific/Apia")  # 2011-12-30 did not happen
    after = datetime(2011, 12, 29, 20, 0, tzinfo=UTC)  # 10:00 on the 29th

    assert next_open(window, after) == datetime(2011, 12, 30, 19, tzinfo=UTC)  # 09:00 on the 31st


@settings(max_examples=300)
@given(
    zone=st.sampled_from(sorted(CHANGES)),
    start=st.times(),
    end=st.times(),
    now=st.datetimes(timezones=st.just(UTC)),
)
def test_the_next_opening_is_open_and_no_earlier_minute_is(zone: str, start: time, end: time, now: datetime) -> None:
    start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    if start == end:
        return
    window = CallWindow(start, end, ZoneInfo(zone))

    opening = next_open(window, now)

    assert opening >= now
    if opening > now:
        assert is_open(window, opening)
        assert not is_open(window, opening - timedelta(microseconds=1))


@pytest.mark.parametrize("now", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_the_ends_of_the_calendar_break_nothing(now: datetime, zone: str) -> None:
    window = parse_window("09:00", "09:01", zone)

    assert next_open(window, now) == now


@pytest.mark.parametrize(
    "clock", ["", "9:00", "09:60", "24:00", "09:00:00", "0900", "09.00", " 09:00", "09:00\n", "٠٩:00", "-1:00", "9am"]
)
def test_a_time_that_is_not_hh_mm_is_refused(clock: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_window(clock, "17:00", "UTC")

    assert refusal.value.message == "callWindow.start must be a time such as 09:00, from 00:00 to 23:59"


def test_equal_ends_are_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        parse_window("09:00", "09:00", "UTC")

    assert refusal.value.message == "callWindow.start and callWindow.end must differ"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "america/new_york",
        "America/New_York ",
        "America",
        "America/",
        "localtime",
        "posixrules",
        "Factory",
        "posix/UTC",
        "right/UTC",
        "../etc/passwd",
        "/etc/localtime",
        "America/../UTC",
        "UTC\x00",
        "+02:00",
        "\ud800",
        "tzdata.zi",
        "zone.tab",
    ],
)
def test_a_zone_that_is_not_in_the_iana_database_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_zone(name)

    assert refusal.value.message == "timezone must be an IANA time zone such as America/New_York"


def test_every_zone_of_the_database_loads() -> None:
    assert len(zone_names()) > 400
    assert {parse_zone(name).key for name in zone_names()} == zone_names()
