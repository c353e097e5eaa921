"""The document's examples are as the API is described."""

from __future__ import annotations

from typing import Any

import pytest

from app.rest.routes import PREFIX
from tests.contract.description import DESCRIPTION
from tests.contract.examples import ANSWERS, BODIES, ID


@pytest.mark.parametrize(("path", "content"), ANSWERS)
def test_an_answer_of_the_document_is_as_described(path: str, content: Any) -> None:
    headers = {"X-Request-Id": "r", "X-Total-Count": "1"}

    assert DESCRIPTION.complaints("GET", PREFIX + path, 200, headers, content) == []


@pytest.mark.parametrize(("method", "path", "content"), BODIES)
def test_a_body_of_the_document_is_as_described(method: str, path: str, content: Any) -> None:
    DESCRIPTION.body(method, PREFIX + path).validate(content)

    assert not DESCRIPTION.body(method, PREFIX + path).is_valid({**content, "surprise": 1})


def test_the_webhook_of_the_document_is_as_described() -> None:
    sent = {
        "event": "call.ended",
        "timestamp": "2025-01-15T14:25:00Z",
        "data": {
            "callId": ID,
            "status": "completed",
            "duration": 183,
            "to": "+15551234567",
            "agentId": ID,
            "campaignId": ID,
        },
    }

    DESCRIPTION.event("call.ended").validate(sent)
    assert not DESCRIPTION.event("call.failed").is_valid(sent)


def test_the_error_of_the_document_is_as_described() -> None:
    error = {"error": {"code": "NOT_FOUND", "message": "Agent with id clx... not found"}}

    assert DESCRIPTION.complaints("GET", f"{PREFIX}/agents/{ID}", 404, {"X-Request-Id": "r"}, error) == []
