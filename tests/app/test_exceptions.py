"""Whatever goes wrong, and wherever, a caller reads one envelope (decisions E1, E2, E4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.answer_headers import set_answer_headers
from app.exceptions import AnswerAbandoned, CatchExceptions
from schema.errors import Invalid, NotFound
from tests.app.support import client, serving, small_app


async def agents(request: Request) -> Response:
    return Response("agents")


async def crash(request: Request) -> Response:
    raise ZeroDivisionError("the secret of the database")


async def missing(request: Request) -> Response:
    raise NotFound("Agent with id clx not found")


async def breaks_off(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half of "
        raise ZeroDivisionError

    return StreamingResponse(chunks(), media_type="text/plain")


def raises(error: Exception) -> Any:
    async def endpoint(request: Request) -> Response:
        raise error

    return endpoint


ROUTES = [
    Route("/api/v1/agents", agents, methods=["GET"]),
    Route("/api/v1/agents", agents, methods=["POST"]),
    Route("/api/v1/agents/{id}", missing),
    Route("/crash/{id}/{token}", crash),
    Route("/breaks-off", breaks_off),
    Route("/teapot", raises(HTTPException(418, "Short and stout"))),
    Route("/conflict", raises(HTTPException(409, "The first request is still running"))),
    Route("/framework-422", raises(HTTPException(422, "Cannot be read"))),
    Route("/unavailable", raises(HTTPException(503, "Back soon", {"Retry-After": "5"}))),
    Mount("/mounted", routes=[Route("/inner", agents, methods=["PUT"])]),
]


def error(response: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message, once nothing else is in the answer."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message"]
    return response.status_code, body["error"]["code"], body["error"]["message"]


async def test_an_unknown_route() -> None:
    async with client(small_app(ROUTES)) as http:
        response = await http.get("/api/v1/x?y=1")

    assert error(response) == (404, "NOT_FOUND", "No such route: GET /api/v1/x")


async def test_a_long_unknown_path_is_cut() -> None:
    async with client(small_app(ROUTES)) as http:
        response = await http.get("/" + "x" * 5000)

    assert error(response)[2] == f"No such route: GET /{'x' * 199}…"


async def test_a_wrong_method_names_every_right_one() -> None:
    async with client(small_app(ROUTES)) as http:
        response = await http.delete("/api/v1/agents")

    assert error(response) == (
        405,
        "BAD_REQUEST",
        "DELETE is not allowed on /api/v1/agents, only GET, HEAD, POST",
    )
    assert response.headers["allow"] == "GET, HEAD, POST"


async def test_a_wrong_method_on_a_mounted_route() -> None:
    async with client(small_app(ROUTES)) as http:
        response = await http.post("/mounted/inner")

    assert error(response) == (405, "BAD_REQUEST", "POST is not allowed on /mounted/inner, only PUT")
    assert response.headers["allow"] == "PUT"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/teapot", (418, "BAD_REQUEST", "Short and stout")),
        ("/conflict", (409, "BAD_REQUEST", "The first request is still running")),
        ("/framework-422", (400, "BAD_REQUEST", "Cannot be read")),
        ("/unavailable", (503, "INTERNAL_ERROR", "Back soon")),
        ("/api/v1/agents/clx", (404, "NOT_FOUND", "Agent with id clx not found")),
    ],
)
async def test_statuses_outside_the_table_keep_the_nearest_code(path: str, expected: tuple[int, str, str]) -> None:
    async with client(small_app(ROUTES)) as http:
        response = await http.get(path)

    assert error(response) == expected


async def test_headers_of_a_framework_error_are_kept() -> None:
    async with client(small_app(ROUTES)) as http:
        response = await http.get("/unavailable")

    assert response.headers["retry-after"] == "5"


async def test_a_crash_shows_nothing_of_itself_but_the_request_id() -> None:
    with capture_logs() as logs:
        async with client(small_app(ROUTES)) as http:
            response = await http.get("/crash/clx1/t0ken?key=1", headers={"X-Request-Id": "req-7"})

    assert error(response) == (500, "INTERNAL_ERROR", "Something went wrong on our end (request req-7)")
    assert response.headers["x-request-id"] == "req-7"
    (line,) = logs
    assert line["event"] == "crash"
    assert line["log_level"] == "error"
    assert line["path"] == "/crash/clx1/{token}"
    assert isinstance(line["exc_info"], ZeroDivisionError)


class Failing:
    """A layer that fails before the routes, after it has said something about the answer."""

    def __init__(self, app: ASGIApp, error: Exception) -> None:
        self.error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        set_answer_headers(scope, {"X-RateLimit-Limit": "300"})
        raise self.error


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Invalid("limit must be between 1 and 200"), (400, "BAD_REQUEST", "limit must be between 1 and 200")),
        (HTTPException(413, "Too much"), (413, "BAD_REQUEST", "Too much")),
        (RuntimeError(), (500, "INTERNAL_ERROR", "Something went wrong on our end (request r1)")),
    ],
)
async def test_an_error_in_a_layer_is_answered_the_same(raised: Exception, expected: tuple[int, str, str]) -> None:
    app = small_app(ROUTES, inner=[Middleware(Failing, error=raised)])

    async with client(app) as http:
        response = await http.get("/api/v1/agents", headers={"X-Request-Id": "r1"})

    assert error(response) == expected
    assert response.headers["x-ratelimit-limit"] == "300"


async def test_it_works_as_the_only_layer() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    async with client(CatchExceptions(broken)) as http:
        response = await http.get("/")

    assert error(response) == (500, "INTERNAL_ERROR", "Something went wrong on our end")


async def test_a_crash_after_the_start_is_logged_once_and_raised_to_the_server() -> None:
    with capture_logs() as logs:
        async with client(small_app(ROUTES)) as http:
            with pytest.raises(AnswerAbandoned):
                await http.get("/breaks-off")

    assert [(line["event"], type(line["exc_info"])) for line in logs] == [("crash", ZeroDivisionError)]


async def test_a_crash_after_the_start_closes_the_connection() -> None:
    async with serving(small_app(ROUTES)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /breaks-off HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read()  # to the end: the server closed
        writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body == b"8\r\nhalf of \r\n"  # no last chunk: the caller sees that it is not the whole


async def test_a_crash_before_the_start_keeps_the_connection() -> None:
    async with serving(small_app(ROUTES)) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        crashed = await http.get("/crash/1/2")
        good = await http.get("/api/v1/agents")

    assert error(crashed)[:2] == (500, "INTERNAL_ERROR")
    assert good.text == "agents"
    assert "connection" not in crashed.headers


async def socket_crash(websocket: WebSocket) -> None:
    if websocket.query_params:
        await websocket.accept()
    raise ZeroDivisionError


async def test_a_websocket_that_crashes_before_it_is_accepted_has_the_envelope() -> None:
    app = small_app([WebSocketRoute("/live", socket_crash)])

    async with serving(app) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/live", additional_headers={"X-Request-Id": "r2"})

    response = refused.value.response
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "r2"
    expected = b'{"error":{"code":"INTERNAL_ERROR","message":"Something went wrong on our end (request r2)"}}'
    assert response.body == expected


async def test_a_websocket_that_crashes_later_is_closed() -> None:
    app = small_app([WebSocketRoute("/live", socket_crash)])

    async with serving(app) as port, connect(f"ws://127.0.0.1:{port}/live?accept=1") as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011


async def test_a_caller_who_leaves_is_not_a_crash() -> None:
    left = asyncio.Event()

    async def reads(request: Request) -> Response:
        try:
            await request.body()
        finally:
            left.set()
        return Response()

    with capture_logs() as logs:
        async with serving(small_app([Route("/reads", reads, methods=["POST"])])) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.close()
            await asyncio.wait_for(left.wait(), 5)

    assert [(line["event"], line["log_level"]) for line in logs] == [("client went away", "info")]
