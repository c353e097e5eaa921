"""Phone numbers in E.164 (decision R9)."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    SUPPORTED_REGIONS,
    PhoneNumberFormat,
    example_number_for_type,
    format_number,
    parse,
)
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_geographical_number
from phonenumbers.tzdata import TIMEZONE_DATA

from schema.errors import Invalid
from schema.rules.phone import _zones_of_prefix, normalise, region, zones

SHAPE = "to must be a phone number in E.164 such as +15551234567: a plus sign, the country code and digits"


@pytest.mark.parametrize(
    "number",
    [
        "+15551234567",  # the document's own
        "+12125551234",
        "+18005551234",  # toll-free
        "+442079460000",
        "+447911123456",
        "+4915112345678",
        "+390612345678",  # Italy keeps its zero
        "+33123456789",
        "+5511912345678",
        "+521234567890",
        "+919876543210",
        "+8613812345678",
        "+61491570156",
        "+2903456",  # Saint Helena: five digits
        "+80012345678",  # international toll-free
        "+881612345678",  # satellite
    ],
)
def test_possible_numbers_pass_unchanged(number: str) -> None:
    assert normalise(number, "to") == number


def test_a_trunk_zero_after_the_country_code_is_dropped() -> None:
    assert normalise("+4407911123456", "to") == "+447911123456"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "15551234567",
        "0015551234567",
        "+1 555 123 4567",
        "+1-555-123-4567",
        "+1(555)1234567",
        "+1.555.123.4567",
        "tel:+15551234567",
        "+15551234567;ext=1",
        "+15551234567x1",
        "+15551234567,1",
        " +15551234567",
        "+15551234567 ",
        "+15551234567\n",
        "+1\u00a05551234567",
        "++15551234567",
        "\uff0b15551234567",
        "+１５５５１２３４５６７",  # noqa: RUF001 - fullwidth digits
        "+١٥٥٥١٢٣٤٥٦٧",
        "+05551234567",
        "+1555FLOWERS",
        "+1234567890123456",  # sixteen digits
        "sip:alice@example.com",
        None,
        15551234567,
    ],
)
def test_anything_but_plus_and_digits_is_refused(text: object) -> None:
    with pytest.raises(Invalid) as refusal:
        normalise(text, "to")

    assert refusal.value.message == SHAPE


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("+1555", "it is too short for its country"),
        ("+155512345678", "it is too long for its country"),
        ("+4490987900", "it lacks its area code"),
        ("+999123456", "no country has its code"),
        ("+2101234567", "no country has its code"),
        ("+441", "it is too short for its country"),
        ("+44", "it is too short for its country"),
    ],
)
def test_impossible_numbers_are_refused(number: str, why: str) -> None:
    with pytest.raises(Invalid) as refusal:
        normalise(number, "phoneNumber")

    assert refusal.value.message == f"phoneNumber {number} is not a possible phone number: {why}"


@pytest.mark.parametrize(
    "number",
    [
        "+19005551234",
        "+19001234567",  # not in use, and in the range all the same
        "+449098790000",
        "+33899123456",
        "+979123456789",  # the international premium-rate code
        "+499001234567",
        "+611900123456",
        "+39892123",
    ],
)
def test_premium_rate_numbers_are_refused(number: str) -> None:
    with pytest.raises(Invalid) as refusal:
        normalise(number, "to")

    assert refusal.value.message == f"to {number} is a premium-rate number, which is never called"


@given(st.text(alphabet="+0123456789", max_size=20) | st.text(max_size=20))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    try:
        once = normalise(text, "to")
    except Invalid:
        return

    assert normalise(once, "to") == once
    assert region(once) is None or len(region(once) or "") == 2


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+12125551234", "US"),
        ("+15551234567", "US"),
        ("+14165550123", "CA"),
        ("+442079460000", "GB"),
        ("+80012345678", None),
        ("nonsense", None),
    ],
)
def test_the_region_of_a_number(number: str, expected: str | None) -> None:
    assert region(number) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+12125551234", ("America/New_York",)),
        ("+13105551234", ("America/Los_Angeles",)),
        ("+390612345678", ("Europe/Rome",)),
        ("+2903456", ("Atlantic/St_Helena",)),
        ("+80012345678", ()),
        ("nonsense", ()),
        ("", ()),
    ],
)
def test_the_zones_of_a_number(number: str, expected: tuple[str, ...]) -> None:
    assert zones(number) == expected


@pytest.mark.parametrize("number", ["+15551234567", "+18005551234"])
def test_a_number_of_a_whole_country_has_the_countrys_zones(number: str) -> None:
    assert {"America/New_York", "America/Los_Angeles", "Pacific/Honolulu"} <= set(zones(number))


def test_the_zones_are_the_librarys_own_answer_for_numbers_of_every_country() -> None:
    chance = Random(20250115)
    examples = [example_number_for_type(region, kind) for region in SUPPORTED_REGIONS for kind in (0, 1, 3)]
    numbers = [format_number(number, PhoneNumberFormat.E164) for number in examples if number is not None]
    numbers += [
        number[: chance.randint(3, len(number))].ljust(len(number), str(chance.randint(0, 9)))
        for number in numbers
        for _ in range(20)
    ]
    numbers += [f"+{code}{chance.randint(10**6, 10**10)}" for code in COUNTRY_CODE_TO_REGION_CODE for _ in range(20)]

    possible = {number for text in numbers if (number := _normalised(text)) is not None}
    told = {number: time_zones_for_geographical_number(parse(number)) for number in possible}

    assert len(possible) > 5_000
    assert {number: zones(number) or (UNKNOWN_TIMEZONE,) for number in possible} == told


def _normalised(text: str) -> str | None:
    try:
        return normalise(text, "to")
    except Invalid:
        return None


def test_zones_that_the_database_does_not_know_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TIMEZONE_DATA, "999", ("Europe/Rome", "Mars/Olympus"))

    assert zones("+9991234567") == ("Europe/Rome",)


def test_numbers_that_begin_alike_are_looked_up_once() -> None:
    _zones_of_prefix.cache_clear()

    found = {zones(f"+4930901820{last:02}") for last in range(100)}

    assert found == {("Europe/Berlin",)}
    assert _zones_of_prefix.cache_info().misses == 1
