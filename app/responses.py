"""What an answer looks like: JSON, and one envelope for every error (decision E1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from schema.errors import DomainError, ErrorCode, RateLimited

STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.LIMIT_REACHED: 422,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL_ERROR: 500,
}
"""The table of `rest-api.md`, *Error Handling*."""

_CODE = {status: code for code, status in STATUS.items()}


class JSONResponse(Response):
    """An answer whose content is anything that orjson renders."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def code_for(status: int) -> ErrorCode:
    """The code of an HTTP status; one outside the document's table has the nearest (decision E2)."""
    nearest = ErrorCode.INTERNAL_ERROR if status >= 500 else ErrorCode.BAD_REQUEST
    return _CODE.get(status, nearest)


def error_response(
    status: int, code: ErrorCode, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """`{"error": {"code", "message"}}` and nothing else."""
    # A message may quote what a caller sent; text that is not Unicode must not turn its 400 into a crash.
    text = message.encode("utf-8", "replace").decode("utf-8")
    return JSONResponse({"error": {"code": code.value, "message": text}}, status_code=status, headers=headers)


def domain_error_response(error: DomainError) -> JSONResponse:
    """The answer to a refusal by the domain; `RateLimited` also says when to come back (decision K5)."""
    headers: dict[str, str] = {}
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after_s)
    if error.code is ErrorCode.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return error_response(STATUS[error.code], error.code, error.message, headers)
