"""Pages: the bounds of `limit` and `offset` (decision R7)."""

from __future__ import annotations

from schema.errors import Invalid

MAX_LIMIT = 200
CALLS_LIMIT = 50  # rest-api.md, *List calls*
CONTACTS_LIMIT = 100  # decision R2
LIMIT = 100
"""What a list has over GraphQL unless told, where REST answers everything (decision R2)."""


def check_page(limit: int | None, offset: int | None) -> tuple[int | None, int]:
    """The bounds, checked; a limit of None is everything."""
    if limit is not None and not 1 <= limit <= MAX_LIMIT:
        raise Invalid(f"limit must be between 1 and {MAX_LIMIT}")
    if offset is not None and not 0 <= offset <= 2**31 - 1:
        raise Invalid("offset must be 0 or more")
    return limit, offset or 0
