"""`X-Request-Id` on every answer and every log line (decision R11)."""

from __future__ import annotations

import re

import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.answer_headers import set_answer_headers
from tests.app.support import client, small_app

seen: list[tuple[str, str]] = []


async def look(request: Request) -> Response:
    seen.append((request.state.request_id, structlog.contextvars.get_contextvars()["request_id"]))
    return Response(headers={"X-Request-Id": "the route's own"})


APP = small_app([Route("/", look)])


@pytest.mark.parametrize("sent", ["a", "Req_7.b-c", "x" * 128])
async def test_a_sane_id_of_the_caller_is_kept(sent: str) -> None:
    async with client(APP) as http:
        response = await http.get("/", headers={"X-Request-Id": sent})

    assert response.headers.get_list("x-request-id") == [sent]
    assert seen[-1] == (sent, sent)


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\tb", "é", "a;b", '"quoted"'])
async def test_any_other_is_replaced(sent: str) -> None:
    async with client(APP) as http:
        response = await http.get("/", headers=[(b"X-Request-Id", sent.encode("latin-1"))])

    (ours,) = response.headers.get_list("x-request-id")
    assert re.fullmatch("[0-9a-f]{32}", ours)
    assert seen[-1] == (ours, ours)


async def test_each_request_has_its_own_and_errors_have_one() -> None:
    async with client(APP) as http:
        first = await http.get("/nothing")
        second = await http.get("/nothing")

    assert first.status_code == second.status_code == 404
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_the_id_does_not_outlive_its_request() -> None:
    async with client(APP) as http:
        await http.get("/")

    assert "request_id" not in structlog.contextvars.get_contextvars()


async def test_an_answers_header_is_replaced_not_repeated() -> None:
    async def limited(request: Request) -> Response:
        set_answer_headers(request.scope, {"X-RateLimit-Limit": "60"})
        set_answer_headers(request.scope, {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "287"})
        return Response(headers={"X-RateLimit-Remaining": "1"})

    async with client(small_app([Route("/", limited)])) as http:
        response = await http.get("/")

    assert response.headers.get_list("x-ratelimit-limit") == ["300"]
    assert response.headers.get_list("x-ratelimit-remaining") == ["287"]
