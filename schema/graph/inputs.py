"""Inputs as services take them: a dictionary of the fields that were sent, by Python name."""

from __future__ import annotations

import dataclasses
from typing import Any

from strawberry import UNSET, Some


def given(value: Any) -> dict[str, Any]:
    """Only what the caller sent: absent fields are left out, null is None (decision R6)."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if isinstance(item, Some):
            fields[field.name] = _plain(item.value)
        elif item is not None and item is not UNSET:
            fields[field.name] = _plain(item)
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return given(value) if dataclasses.is_dataclass(value) else value
