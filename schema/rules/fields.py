"""What may be in a field: one table a noun, read when a row is created and when it is changed.

A `Shape` takes what a caller gave, by Python name, and returns clean values or raises Invalid with a sentence that
names the field as the caller wrote it (decisions R6, R7, E4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from schema.errors import Invalid
from schema.rules import phone

Check = Callable[[Any, str], Any]


def camel(name: str) -> str:
    """`max_call_duration` → `maxCallDuration`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its check, and what happens when it is absent or null."""

    check: Check
    required: bool = False
    nullable: bool = False
    default: Any = None


class Shape:
    """The fields of a noun that a caller may send."""

    def __init__(self, **fields: Field) -> None:
        self.fields = fields

    def new(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every field of a new row: those given, checked, and the defaults of the rest."""
        clean = self.changes(given)
        for name, field in self.fields.items():
            if name not in clean:
                if field.required:
                    raise Invalid(f"{camel(name)} is required")
                default = field.default
                clean[name] = default() if callable(default) else default
        return clean

    def changes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Only the fields given, checked; null clears a nullable one (decision R6)."""
        clean: dict[str, Any] = {}
        for name, value in given.items():
            field = self.fields.get(name)
            if field is None:
                raise Invalid(f"Unknown field '{camel(name)}'")
            if value is None:
                if not field.nullable:
                    raise Invalid(f"{camel(name)} cannot be null")
                clean[name] = None
            else:
                clean[name] = field.check(value, camel(name))
        return clean


CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"  # the characters of which no text has any, as between [ and ]
_CONTROL = re.compile(rf"[{CONTROL}\ud800-\udfff]")

# The checks that come with numbers are values of their own, so that the API's description can read them.


@dataclass(frozen=True, slots=True)
class TextCheck:
    """A string of `low` to `high` characters, counted without the space around it if that is stripped."""

    low: int
    high: int
    strip: bool

    def __call__(self, value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise Invalid(f"{name} must be a string")
        if _CONTROL.search(value):
            raise Invalid(f"{name} must not contain control characters")
        clean = value.strip() if self.strip else value
        if not self.low <= len(clean) <= self.high:
            if self.low and not clean:
                raise Invalid(f"{name} must not be empty")
            raise Invalid(f"{name} must be between {self.low} and {self.high:,} characters")
        return clean


@dataclass(frozen=True, slots=True)
class PatternCheck:
    """A string of at most `high` characters, without control characters, that matches `pattern` whole."""

    pattern: str
    says: str
    high: int

    def __call__(self, value: Any, name: str) -> str:
        if not isinstance(value, str) or len(value) > self.high or not self._matches(value):
            raise Invalid(f"{name} must be {self.says}")
        return value

    def _matches(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None and not _CONTROL.search(value)


@dataclass(frozen=True, slots=True)
class IntegerCheck:
    """A whole number from `low` to `high`."""

    low: int
    high: int
    unit: str

    def __call__(self, value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid(f"{name} must be a whole number")
        if not self.low <= value <= self.high:
            raise Invalid(f"{name} must be between {self.low} and {self.high}{' ' + self.unit if self.unit else ''}")
        return value


@dataclass(frozen=True, slots=True)
class ChoiceCheck:
    """One of an enum's values."""

    kind: type[StrEnum]

    def __call__(self, value: Any, name: str) -> StrEnum:
        try:
            return self.kind(value)
        except ValueError:
            raise Invalid(f"{name} must be one of: {', '.join(member.value for member in self.kind)}") from None


def text(low: int, high: int, *, strip: bool = True) -> TextCheck:
    """A string of `low` to `high` characters, without control characters."""
    return TextCheck(low, high, strip)


def matching(pattern: str, says: str, *, high: int = 200) -> PatternCheck:
    """A string that matches `pattern` whole; `says` completes `<name> must be …`."""
    return PatternCheck(pattern, says, high)


def integer(low: int, high: int, unit: str = "") -> IntegerCheck:
    """A whole number from `low` to `high`."""
    return IntegerCheck(low, high, unit)


def choice(kind: type[StrEnum]) -> ChoiceCheck:
    """One of an enum's values."""
    return ChoiceCheck(kind)


def flag(value: Any, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Invalid(f"{name} must be true or false")
    return value


def instant(value: Any, name: str) -> datetime:
    """An aware datetime, whole seconds, UTC (decision R4)."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Invalid(f"{name} must be an ISO 8601 instant with an offset or Z")
    return value.astimezone(UTC).replace(microsecond=0)


def identifier(value: Any, name: str) -> str:
    """An id as a caller sends it; whether it exists is for the service to say."""
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} must be an id")
    return value


def phone_number(value: Any, name: str) -> str:
    """An E.164 number, normalised (decision R9)."""
    if not isinstance(value, str):
        raise Invalid(f"{name} must be a string")
    return phone.normalise(value, name)


# Every kind of space by its number: regular expressions do not agree on what \s is.
SPACE = r"\x00-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
email = matching(
    rf"[^@{SPACE}{CONTROL}]{{1,64}}@[^@.{SPACE}{CONTROL}]+(\.[^@.{SPACE}{CONTROL}]+)+", "an e-mail address", high=254
)
language = matching(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*", "a language tag such as en-US", high=35)
