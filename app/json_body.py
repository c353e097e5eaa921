"""A request's body as JSON, or a sentence that says why it is not (decision E6)."""

from __future__ import annotations

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request

from schema.errors import Invalid

DEEPEST = 32
INT64 = 2**63


async def read_json(request: Request, *, optional: bool = False) -> object:
    """The body's value. With `optional`, an empty body is None whatever its type is said to be.

    Raises Invalid, and HTTPException 415 when the content is not declared as JSON (`rest-api.md`: required for POST
    and PATCH).
    """
    body = await request.body()
    if optional and not body:
        return None
    require_json(request.headers.get("content-type"))
    return parse_json(body)


def require_json(content_type: str | None) -> None:
    """Refuse a `Content-Type` other than `application/json`, in UTF-8 if it names a charset."""
    media_type, *parameters = (content_type or "").split(";")
    names = (parameter.partition("=") for parameter in parameters)
    charsets = {value.strip().strip('"').lower() for name, _, value in names if name.strip().lower() == "charset"}
    if media_type.strip().lower() != "application/json":
        raise HTTPException(415, "Content-Type must be application/json")
    if charsets - {"utf-8", "utf8"}:
        raise HTTPException(415, "Content-Type must be application/json in UTF-8: leave the charset out")


def parse_json(body: bytes) -> object:
    """The value of a JSON text. Raises Invalid.

    Refused: what is not UTF-8 or not JSON (`NaN` and lone surrogates are not), more than 32 levels, and numbers
    beyond 64 bits. A repeated key has its last value.
    """
    if not body.strip():
        raise Invalid("The request body is empty: it must be JSON")
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(_why_not_json(body, error)) from None
    _check(value)
    return value


def _why_not_json(body: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        body.decode()
    except UnicodeDecodeError:
        return "The request body is not UTF-8"
    if "depth" in error.msg:  # orjson's own limit, far beyond ours
        return _TOO_DEEP
    return f"The request body is not valid JSON (line {error.lineno}, column {error.colno})"


_TOO_DEEP = f"The request body is nested deeper than {DEEPEST} levels"


def _check(value: object) -> None:
    """Level by level, without recursion: 32 levels of containers hold values at the 33rd at most."""
    level = [value]
    for depth in range(DEEPEST + 1):
        below: list[dict[str, object] | list[object]] = []
        for item in level:
            if isinstance(item, (dict, list)):
                below.append(item)
            elif isinstance(item, (int, float)) and not (abs(item) < INT64 or (item == -INT64 and type(item) is int)):
                raise Invalid("The request body has a number that does not fit in 64 bits")
        if not below:
            return
        if depth == DEEPEST:
            raise Invalid(_TOO_DEEP)
        level = [item for held in below for item in (held.values() if isinstance(held, dict) else held)]
