"""Contacts and the do-not-call list: fields and bounds."""

from __future__ import annotations

from enum import StrEnum
from math import isfinite
from typing import Any

from schema.errors import Invalid
from schema.rules.fields import Field, Shape, email, phone_number, text
from schema.rules.windows import parse_zone

MAX_CUSTOM_FIELDS = 50
CUSTOM_NAME = text(1, 64)
CUSTOM_TEXT = text(0, 1_000)


class DoNotCallSource(StrEnum):
    """How a number came to the list (decision L5)."""

    API = "api"
    CALLEE = "callee"


def custom_fields(value: Any, name: str) -> dict[str, str | int | float | bool | None]:
    """A flat object: up to 50 names with texts, numbers, booleans or nulls."""
    if not isinstance(value, dict):
        raise Invalid(f"{name} must be an object")
    if len(value) > MAX_CUSTOM_FIELDS:
        raise Invalid(f"{name} must have at most {MAX_CUSTOM_FIELDS} fields")
    clean: dict[str, str | int | float | bool | None] = {}
    for key, item in value.items():
        CUSTOM_NAME(key, f"{name} names")
        if isinstance(item, str):
            clean[key] = CUSTOM_TEXT(item, f"{name}.{key}")
        elif (isinstance(item, int) and item.bit_length() > 63) or (isinstance(item, float) and not isfinite(item)):
            raise Invalid(f"{name}.{key} must be a finite number, and a whole one within 64 bits")
        elif item is None or isinstance(item, bool | int | float):
            clean[key] = item
        else:
            raise Invalid(f"{name}.{key} must be a string, a number, true, false or null")
    return clean


def zone_name(value: Any, name: str) -> str:
    """An IANA time zone's name."""
    if not isinstance(value, str):
        raise Invalid(f"{name} must be a string")
    parse_zone(value, name)
    return value


CONTACT = Shape(
    phone_number=Field(phone_number, required=True),
    name=Field(text(0, 200), nullable=True),
    email=Field(email, nullable=True),
    timezone=Field(zone_name, nullable=True),
    notes=Field(text(0, 5_000, strip=False), nullable=True),
    custom_fields=Field(custom_fields, default=dict),
)

DO_NOT_CALL = Shape(phone_number=Field(phone_number, required=True), reason=Field(text(0, 500), nullable=True))
