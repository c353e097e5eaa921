"""Phone numbers in E.164 (decision R9)."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat, ValidationResult
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from schema.errors import Invalid
from schema.rules.windows import zone_names

ZONE_PREFIX = 1 + TIMEZONE_LONGEST_PREFIX
"""Characters of a number, its plus sign among them, by which `zones` goes."""

E164 = r"\+[1-9][0-9]{1,14}"
_SHAPE = re.compile(E164, re.ASCII)
_UNKNOWN_REGIONS = frozenset({"001", "ZZ"})

_REASONS = {
    ValidationResult.INVALID_COUNTRY_CODE: "no country has its code",
    ValidationResult.TOO_SHORT: "it is too short for its country",
    ValidationResult.TOO_LONG: "it is too long for its country",
    ValidationResult.INVALID_LENGTH: "its country has no numbers of that length",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "it lacks its area code",
}


def normalise(text: object, field: str) -> str:
    """The number in E.164: `+`, country code, digits, at most 15 of them.

    A number passes when its length is possible for its country; it need not be in a range that is in use, which is
    how the document's own `+15551234567` passes. Raises `Invalid`, naming `field`, for formatting characters, a
    missing `+`, digits of other scripts, impossible lengths and premium-rate ranges.
    """
    if not isinstance(text, str) or not _SHAPE.fullmatch(text):
        raise Invalid(
            f"{field} must be a phone number in E.164 such as +15551234567: a plus sign, the country code and digits"
        )
    try:
        number = phonenumbers.parse(text, None)
    except NumberParseException as failure:
        unknown = failure.error_type == NumberParseException.INVALID_COUNTRY_CODE
        verdict = ValidationResult.INVALID_COUNTRY_CODE if unknown else ValidationResult.TOO_SHORT
        raise _impossible(field, text, verdict) from None
    verdict = phonenumbers.is_possible_number_with_reason(number)
    if verdict != ValidationResult.IS_POSSIBLE:
        raise _impossible(field, text, verdict)
    if _is_premium_rate(number):
        raise Invalid(f"{field} {text} is a premium-rate number, which is never called")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def region(number: str) -> str | None:
    """The ISO 3166 region of a normalised number, such as `US`; None for numbers of no country (`+800…`)."""
    parsed = _parse(number)
    if parsed is None:
        return None
    found = phonenumbers.region_code_for_number(parsed)
    if found is None:
        found = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return None if found in _UNKNOWN_REGIONS else found


def zones(number: str) -> tuple[str, ...]:
    """The IANA zones in which a normalised number may be, by name; empty when nothing is known (`+800…`).

    libphonenumber's data, which goes by the first digits: those of an area code, or of a whole country where no more
    is known of the number. A mobile number has the zones of the range it was issued from.
    """
    return _zones_of_prefix(number[1:ZONE_PREFIX])


@lru_cache(maxsize=65_536)
def _zones_of_prefix(digits: str) -> tuple[str, ...]:
    for length in range(len(digits), 0, -1):
        found = TIMEZONE_DATA.get(digits[:length])
        if found is not None:
            return tuple(zone for zone in found if zone in zone_names())
    return ()


def _impossible(field: str, text: str, verdict: int) -> Invalid:
    return Invalid(f"{field} {text} is not a possible phone number: {_REASONS[verdict]}")


def _parse(text: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, None)
    except NumberParseException:
        return None


def _is_premium_rate(number: PhoneNumber) -> bool:
    """Whether the number lies in a premium range of any region that shares its country code, in use or not."""
    national = phonenumbers.national_significant_number(number)
    return any(pattern.fullmatch(national) for pattern in _premium_ranges(number.country_code or 0))


@lru_cache(maxsize=512)
def _premium_ranges(country_code: int) -> tuple[re.Pattern[str], ...]:
    metadata = [
        PhoneMetadata.metadata_for_region_or_calling_code(country_code, region_code)
        for region_code in phonenumbers.region_codes_for_country_code(country_code)
    ]
    patterns = {
        entry.premium_rate.national_number_pattern
        for entry in metadata
        if entry is not None and entry.premium_rate is not None and entry.premium_rate.national_number_pattern
    }
    if country_code == 1:
        patterns.add("900[0-9]{7}")  # the whole area code, whatever exchange follows it
    return tuple(re.compile(pattern, re.ASCII) for pattern in sorted(patterns))
