"""Putting checked values into a row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def apply(row: Any, clean: Mapping[str, Any], now: datetime) -> bool:
    """Set what differs; `updated_at` moves only if something does (decision R6). Returns whether it did."""
    changed = {name: value for name, value in clean.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.updated_at = now
    return bool(changed)
