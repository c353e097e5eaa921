"""Phone numbers that calls are placed from: fields, bounds, and the carriers they are reached through."""

from __future__ import annotations

from enum import StrEnum

from schema.rules.fields import Field, Shape, choice, flag, integer, phone_number, text


class CarrierName(StrEnum):
    """Who dials."""

    SANDBOX = "sandbox"


_EDITABLE = {
    "name": Field(text(1, 200), required=True),
    "calls_per_second": Field(integer(1, 1_000, "calls per second"), nullable=True),
}
PHONE_NUMBER = Shape(
    **_EDITABLE,
    phone_number=Field(phone_number, required=True),
    carrier=Field(choice(CarrierName)),
)
PHONE_NUMBER_CHANGES = Shape(**_EDITABLE, is_active=Field(flag))
