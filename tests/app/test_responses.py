"""The envelope of every error (decisions E1, E2)."""

import json

import pytest

from app.responses import JSONResponse, domain_error_response, error_response
from schema.errors import (
    DomainError,
    ErrorCode,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    RateLimited,
    Unauthenticated,
)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Invalid("No."), 400, "BAD_REQUEST"),
        (Unauthenticated("No."), 401, "UNAUTHORIZED"),
        (Forbidden("No."), 403, "FORBIDDEN"),
        (NotFound("No."), 404, "NOT_FOUND"),
        (LimitReached("No."), 422, "LIMIT_REACHED"),
        (RateLimited("No.", retry_after_s=17), 429, "RATE_LIMITED"),
    ],
)
def test_each_domain_error_has_its_row_of_the_table(error: DomainError, status: int, code: str) -> None:
    response = domain_error_response(error)

    assert response.status_code == status
    assert json.loads(response.body) == {"error": {"code": code, "message": "No."}}
    assert response.headers["content-type"] == "application/json"


def test_a_rate_limited_caller_learns_when_to_come_back() -> None:
    response = domain_error_response(RateLimited("No.", retry_after_s=17))

    assert response.headers["retry-after"] == "17"


def test_the_bytes_of_an_error() -> None:
    response = error_response(404, ErrorCode.NOT_FOUND, "Agent with id clx… not found", {"X-Extra": "1"})

    assert response.body == '{"error":{"code":"NOT_FOUND","message":"Agent with id clx… not found"}}'.encode()
    assert response.headers["x-extra"] == "1"


def test_a_message_that_is_not_unicode_is_still_answered() -> None:
    response = error_response(400, ErrorCode.BAD_REQUEST, "Unknown field '\ud800'")

    assert json.loads(response.body)["error"]["message"] == "Unknown field '?'"


def test_json_needs_no_charset() -> None:
    response = JSONResponse({"name": "Zoë"})

    assert response.body == '{"name":"Zoë"}'.encode()
    assert response.headers["content-type"] == "application/json"
