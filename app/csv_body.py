"""A request's body as CSV text, or a sentence that says why it is not."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request

from schema.rules.csv_text import decode

MEDIA_TYPE = "text/csv"
NOT_CSV = f"Content-Type must be {MEDIA_TYPE}, in UTF-8 or UTF-16"
_MEDIA_TYPES = frozenset({MEDIA_TYPE, "application/csv", "application/vnd.ms-excel"})  # the last is what Windows says
_CHARSETS = frozenset({"utf-8", "utf8", "utf-16", "us-ascii"})


async def read_csv(request: Request) -> str:
    """The body's text. Raises Invalid, and HTTPException 415 when the content is not declared as CSV."""
    require_csv(request.headers.get("content-type"))
    return await asyncio.to_thread(decode, await request.body())


def require_csv(content_type: str | None) -> None:
    """Refuse a `Content-Type` that is not one of CSV's, or that names a charset which is not read."""
    media_type, *parameters = (content_type or "").split(";")
    names = (parameter.partition("=") for parameter in parameters)
    charsets = {value.strip().strip('"').lower() for name, _, value in names if name.strip().lower() == "charset"}
    if media_type.strip().lower() not in _MEDIA_TYPES or charsets - _CHARSETS:
        raise HTTPException(415, NOT_CSV)
