"""Instants as the API reads and writes them (decision R4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.rules.instants import check_range, format_instant, parse_from, parse_instant, parse_to

TEN = datetime(2025, 2, 15, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-02-15T10:00:00Z", TEN),
        ("2025-02-15t10:00:00z", TEN),
        ("2025-02-15T12:00:00+02:00", TEN),
        ("2025-02-15T12:00:00+0200", TEN),
        ("2025-02-15T12:00:00+02", TEN),
        ("2025-02-15T04:30:00-05:30", TEN),
        ("2025-02-15T10:00:00-00:00", TEN),
        ("2025-02-15T10:00Z", TEN),
        ("2025-02-15T10Z", TEN),
        ("20250215T100000Z", TEN),
        ("20250215T1000+0000", TEN),
        ("2025-W07-6T10:00:00Z", TEN),
        ("2025W076T100000Z", TEN),
        ("2025-046T10:00:00Z", TEN),
        ("2025046T10Z", TEN),
        ("2025-02-14T24:00:00Z", TEN.replace(hour=0)),
        ("2025-02-15T10:00:00.5Z", TEN.replace(microsecond=500_000)),
        ("2025-02-15T10:00:00,123456Z", TEN.replace(microsecond=123_456)),
        ("2025-02-15T10:00:00.123456999Z", TEN.replace(microsecond=123_456)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_any_iso_8601_instant_is_read(text: str, expected: datetime) -> None:
    read = parse_instant(text, "startTime")

    assert read == expected
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["2025-02-15T10:00:00", "2025-02-15T10:00", "2025-02-15T10", "20250215T100000", "2025-02-15T10:00:00.123"]
)
def test_an_instant_without_an_offset_is_refused_and_told_so(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_instant(text, "startTime")

    assert refusal.value.message == "startTime needs an offset or Z, such as 2025-02-15T10:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2025-02-15",
        "1739613600",
        1739613600,
        None,
        "2025-02-15 10:00:00Z",
        "2025-02-15T10:00:00 02:00",  # a query string whose + was not escaped
        "2025-02-15x10:00:00Z",
        "2025-02-30T10:00:00Z",
        "2025-13-01T10:00:00Z",
        "2025-00-01T10:00:00Z",
        "2023-02-29T10:00:00Z",
        "2025-366T10:00:00Z",
        "2025-000T10:00:00Z",
        "2025-W54-1T10:00:00Z",
        "2025-W07-8T10:00:00Z",
        "2025-02-15T25:00:00Z",
        "2025-02-15T24:00:01Z",
        "2025-02-15T10:60:00Z",
        "2016-12-31T23:59:60Z",  # a leap second that happened
        "2025-02-15T10:00:00+24:00",
        "2025-02-15T10:00:00+02:60",
        "2025-02-15T10:00:00+2:00",
        "2025-02-15T10:00:00Z ",
        "2025-02-15T10:00:00Z\n",
        " 2025-02-15T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T24:00:00Z",
        "10000-01-01T00:00:00Z",
        "+2025-02-15T10:00:00Z",
        "-2025-02-15T10:00:00Z",
        "25-02-15T10:00:00Z",
        "2025-2-15T10:00:00Z",
        "٢٠٢٥-02-15T10:00:00Z",
        "2025-02-15T10:00:00.Z",
        "2025-02-15T10:00:00." + "1" * 10_000 + "Z",
        "2025-02-15T10:00:00[UTC]",
        "2025-02-15T10:00:00 UTC",
        "Sat, 15 Feb 2025 10:00:00 GMT",
        "2025-02-15T10:00:00Z\x00",
    ],
)
def test_what_is_not_an_instant_is_refused(text: object) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_instant(text, "startTime")

    assert refusal.value.message == "startTime must be an ISO 8601 instant such as 2025-02-15T10:00:00Z"


@given(st.text() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.,]{0,12}([Zz]|[+-][0-9:]{0,6})?"))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_instant, parse_from, parse_to):
        try:
            read = parse(text, "from")
        except Invalid:
            continue

        assert read.tzinfo is UTC


@given(st.datetimes(timezones=st.timezones()))
def test_what_python_writes_is_read_back(instant: datetime) -> None:
    try:
        expected = instant.astimezone(UTC)
    except OverflowError:
        return
    offset = instant.utcoffset()
    if offset is None or offset % timedelta(minutes=1):  # local mean time has seconds, which ISO 8601 does not
        return

    assert parse_instant(instant.isoformat(), "at") == expected


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2025, 1, 15, 14, 23, tzinfo=UTC), "2025-01-15T14:23:00Z"),
        (datetime(2025, 1, 15, 14, 23, 59, 999_999, tzinfo=UTC), "2025-01-15T14:23:59Z"),
        (datetime(2025, 1, 15, 16, 23, tzinfo=timezone(timedelta(hours=2))), "2025-01-15T14:23:00Z"),
        (datetime(987, 1, 1, tzinfo=UTC), "0987-01-01T00:00:00Z"),
    ],
)
def test_instants_are_written_in_utc_and_whole_seconds(instant: datetime, text: str) -> None:
    assert format_instant(instant) == text


def test_a_naive_datetime_is_not_written() -> None:
    with pytest.raises(ValueError, match="an instant has a time zone"):
        format_instant(datetime(2025, 1, 15))  # noqa: DTZ001 - the point of the test


def test_a_bare_date_is_a_whole_utc_day() -> None:
    assert parse_from("2025-02-28") == datetime(2025, 2, 28, tzinfo=UTC)
    assert parse_to("2025-02-28") == datetime(2025, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)


def test_a_from_instant_is_exact() -> None:
    assert parse_from("2025-02-15T11:00:00.25+01:00") == TEN.replace(microsecond=250_000)


def test_a_to_instant_in_whole_seconds_includes_its_second() -> None:
    assert parse_to("2025-02-15T10:00:00Z") == TEN.replace(microsecond=999_999)


def test_a_to_instant_with_a_fraction_is_exact() -> None:
    assert parse_to("2025-02-15T10:00:00.25Z") == TEN.replace(microsecond=250_000)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - bounds
def test_a_row_is_found_by_the_created_at_it_is_shown_with(naive: datetime) -> None:
    created = naive.replace(tzinfo=UTC)
    shown = format_instant(created)

    assert parse_from(shown) <= created <= parse_to(shown)
    assert parse_from(shown[:10]) <= created <= parse_to(shown[:10])


def test_a_filter_needs_an_offset_too() -> None:
    with pytest.raises(Invalid) as refusal:
        parse_to("2025-02-15T10:00:00")

    assert refusal.value.message == "to needs an offset or Z, such as 2025-02-15T10:00:00Z"


def test_a_day_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        parse_from("2025-02-30")

    assert refusal.value.message == "from must be a date such as 2025-02-15 or an instant such as 2025-02-15T10:00:00Z"


def test_from_after_to_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        check_range(parse_from("2025-02-16"), parse_to("2025-02-15"))

    assert refusal.value.message == "from must not be after to"


def test_from_and_to_on_one_day_and_open_ends_pass() -> None:
    check_range(parse_from("2025-02-15"), parse_to("2025-02-15"))
    check_range(None, parse_to("2025-02-15"))
    check_range(parse_from("2025-02-15"), None)
