"""Headers of every answer, and the answers that are errors: one schema for all of them (decisions E1, E2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.body_limit import MIB
from app.csv_body import NOT_CSV
from app.openapi.components import Schema
from app.responses import code_for
from app.rest.idempotency import REPLAYED, STILL_RUNNING
from schema.errors import ErrorCode
from schema.rules.contact_import import MAX_BYTES
from schema.rules.idempotency import HEADER
from schema.rules.plans import PLANS, Counted, Plan

ERROR: Schema = {
    "type": "object",
    "description": "What every error looks like.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": [code.value for code in ErrorCode]},
                "message": {"type": "string", "description": "A sentence for people."},
            },
            "required": ["code", "message"],
            "additionalProperties": False,
        }
    },
    "required": ["error"],
    "additionalProperties": False,
}

_WHOLE = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "The caller's own, if it sent 1 to 128 of `A-Za-z0-9._-`; else a new one. It is in the logs.",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-RateLimit-Limit": {
        "description": "Requests a minute. Not sent while there is no limit.",
        "schema": _WHOLE,
    },
    "X-RateLimit-Remaining": {"description": "Requests left in this minute.", "schema": _WHOLE},
    "X-RateLimit-Reset": {"description": "When the next minute begins, in Unix seconds.", "schema": _WHOLE},
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
    "Location": {
        "description": "Where the new resource is.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "X-Total-Count": {"description": "How many there are in all.", "required": True, "schema": _WHOLE},
    "Link": {
        "description": 'The next page, `<…>; rel="next"`, while more is left.',
        "schema": {"type": "string"},
    },
    REPLAYED: {
        "description": f"Sent when the answer is that of an earlier request with the same `{HEADER}`.",
        "schema": {"const": "true"},
    },
}
RATE = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

_SHARED = {
    400: ("BadRequest", "The request is not valid; the message says what is wrong."),
    401: ("Unauthorized", "The API key is missing, not valid, revoked or expired."),
    404: ("NotFound", "There is no such resource in this workspace, or one that the body refers to."),
    409: ("StillRunning", f"Another request with this `{HEADER}` is still running."),
    413: ("TooLarge", "The body is larger than 1 MiB."),
    415: ("NotJson", "The body is not declared as `application/json`."),
    429: ("RateLimited", "Too many requests. Wait until `X-RateLimit-Reset`."),
    500: ("InternalError", "Something went wrong on our end."),
}
_MESSAGES = {
    400: "maxCallDuration must be between 10 and 14400 seconds",
    401: "Missing or invalid API key",
    404: "Agent with id clx0a1b2c3d4e5f6g7h8i9j0k not found",
    409: STILL_RUNNING,
    413: "The request body is larger than 1 MiB",
    415: "Content-Type must be application/json",
    429: "Too many requests: wait until X-RateLimit-Reset, then try again",
    500: "Something went wrong on our end",
}


def headers(*names: str) -> dict[str, Any]:
    """References to the headers of those names, with the one that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def shared() -> dict[str, Any]:
    """The error responses that read the same for every operation, by their name in the document."""
    kept = (REPLAYED, *RATE)
    extra = {400: kept, 401: ("WWW-Authenticate",), 404: kept, 429: ("Retry-After", *RATE)}
    return {
        name: _failure(status, description, _MESSAGES[status], extra.get(status, RATE))
        for status, (name, description) in _SHARED.items()
    }


def failures(statuses: Iterable[int]) -> dict[str, Any]:
    """References to the shared responses of those statuses."""
    return {str(status): {"$ref": f"#/components/responses/{_SHARED[status][0]}"} for status in statuses}


def csv_failures() -> dict[str, Any]:
    """What a route of CSV says where others speak of JSON and of 1 MiB."""
    size = f"larger than {MAX_BYTES // MIB} MiB"
    return {
        "413": _failure(413, f"The body is {size}.", f"The request body is {size}", RATE),
        "415": _failure(415, "The body is not declared as CSV.", NOT_CSV, RATE),
    }


def forbidden(message: str) -> dict[str, Any]:
    """The answer to a key that lacks a scope, or to an address that the key does not allow."""
    return _failure(403, "The key lacks the permission, or is restricted to other addresses.", message, RATE)


def limit_reached(counted: Counted) -> dict[str, Any]:
    """The answer when a plan has no room for more."""
    limits = [(plan, PLANS[plan].of(counted)) for plan in Plan]
    said = ", ".join(f"{limit:,} ({plan.value.capitalize()})" for plan, limit in limits if limit is not None)
    plan, limit = limits[0]
    example = f"The {plan.value.capitalize()} plan allows {limit:,} {counted.value}"
    return _failure(422, f"The plan allows no more {counted.value}: {said}.", example, (REPLAYED, *RATE))


def _failure(status: int, description: str, message: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "description": description,
        "headers": headers(*names),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": {"error": {"code": code_for(status).value, "message": message}},
            }
        },
    }
