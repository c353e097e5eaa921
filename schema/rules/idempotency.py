"""Idempotency keys: their shape, what makes two requests the same, and how long each is remembered (decision R10)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson

from schema.errors import Invalid

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
KEY = f"[!-~]{{1,{MAX_LENGTH}}}"
"""Visible ASCII."""

RETENTION = timedelta(hours=24)
LEASE = timedelta(seconds=10)
"""How long a request that says nothing more keeps others from being executed with its key."""
RENEW_EVERY_S = 3.0

_SHAPE = re.compile(KEY, re.ASCII)


def check_key(text: str) -> str:
    """The key. Raises Invalid for one that is empty, too long or has anything but visible ASCII."""
    if _SHAPE.fullmatch(text) is None:
        raise Invalid(f"{HEADER} must be 1 to {MAX_LENGTH} visible ASCII characters")
    return text


def reservation_id(workspace_id: str, place: Sequence[str], key: str) -> str:
    """What a key is known by: SHA-256, in hex, of the workspace, the place it was sent to, and the key itself.

    `place` is the route and the ids in its path: the same key elsewhere is another.
    """
    return hashlib.sha256(orjson.dumps([workspace_id, *place, key])).hexdigest()


def fingerprint(variables: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of what a request says, as JSON values: the order and the spacing of its JSON do not count."""
    return hashlib.sha256(orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)).hexdigest()
