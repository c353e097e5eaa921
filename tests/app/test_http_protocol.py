"""What is not HTTP, too long, too slow or too much is refused in the envelope, too (decisions E1, E2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from ipaddress import ip_network

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from app.body_limit import MIB
from app.connections import Connections
from app.graphql import PATH
from app.http_protocol import HttpProtocol, Limits
from app.websocket.server_protocol import OPTIONS
from tests.app.support import serving, small_app

SHORT = Limits(head_s=0.1, stall_s=0.1, body_s=0.3, linger_s=0.1)
LONG = 0.4
"""Seconds, longer than any of them."""
POST = b"POST /length HTTP/1.1\r\nHost: x\r\n"


async def answer(request: Request) -> Response:
    return Response("fine")


async def client_port(request: Request) -> Response:
    assert request.client is not None
    return Response(str(request.client.port))


async def length(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params.get("after", 0)))
    return Response(str(len(await request.body())))


async def ticks(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"two", b"end"):
            yield part
            await asyncio.sleep(LONG / 2)

    return StreamingResponse(parts())


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


APP = small_app(
    [
        Route("/", answer),
        Route("/port", client_port),
        Route("/length", length, methods=["POST"]),
        Route("/ticks", ticks),
        WebSocketRoute(PATH, echo),
    ],
    limit=4 * MIB,
)


def limited(
    limits: Limits, app: ASGIApp = APP, connections: Connections | None = None
) -> AbstractAsyncContextManager[int]:
    return serving(app, http=partial(HttpProtocol, limits=limits, connections=connections), **OPTIONS)


async def sent_to(port: int, *pieces: bytes, every_s: float = 0.0) -> bytes:
    """What is answered until the connection is closed; the pieces are sent until then, or until there are no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def write() -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(every_s)

    writing = asyncio.create_task(write())
    received = b""
    with contextlib.suppress(ConnectionResetError):  # by what was sent after it was closed
        async with asyncio.timeout(10):
            while part := await reader.read(65_536):
                received += part
    writing.cancel()
    writer.close()
    return received


def error_of(received: bytes) -> tuple[int, str]:
    """The status and the message of an answer in the envelope that closes the connection."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    assert re.search(rb"x-request-id: [0-9a-f]{32}", head)
    error = json.loads(body)["error"]
    assert error["code"] == "BAD_REQUEST"
    return int(head.split()[1]), error["message"]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_not_http(sent: bytes) -> None:
    async with serving(APP, http=HttpProtocol) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    assert re.search(rb"x-request-id: [0-9a-f]{32}", head)
    assert int(re.search(rb"content-length: (\d+)", head)[1]) == len(body)  # type: ignore[index]
    assert json.loads(body) == {"error": {"code": "BAD_REQUEST", "message": "The request is not valid HTTP"}}


async def test_what_is_http_is_served() -> None:
    async with serving(APP, http=HttpProtocol) as port, httpx.AsyncClient() as http:
        response = await http.get(f"http://127.0.0.1:{port}/")

    assert response.text == "fine"


TOO_LONG = (431, "The request's address and headers are longer than 32 KiB")
BIG = 40 * 1024


@pytest.mark.parametrize(
    "sent",
    [
        [b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * BIG + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nHost: x\r\nX: ", *[b"a" * 1024] * 40],
        [b"GET / HTTP/1.1\r\nHost: x\r\n", *[b"X-%d: a\r\n" % number for number in range(6_000)]],
        [b"GET /?" + b"a" * BIG + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
        [b"GET /?" + b"a" * BIG],
        [b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a" * BIG],
        [POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", *[b"a" * 1024] * 40],
        [POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", *[b"X: a\r\n"] * 8_000],
        [POST + b"Transfer-Encoding: chunked\r\n\r\n1;", *[b"a" * 1024] * 40],
    ],
    ids=[
        "a header",
        "half a header",
        "many headers",
        "an address",
        "half an address",
        "half a name",
        "half a trailer",
        "many trailers",
        "a chunk's extension",
    ],
)
async def test_a_head_that_is_too_long(sent: list[bytes]) -> None:
    async with serving(APP, http=HttpProtocol) as port:
        received = await sent_to(port, *sent)

    assert error_of(received) == TOO_LONG


@pytest.mark.parametrize("second", [b"GET / HTTP/1.1\r\nX: " + b"a" * BIG, b"nonsense\r\n\r\n"])
async def test_a_refusal_is_never_taken_for_the_answer_to_another_request(second: bytes) -> None:
    """One that has been answered, or one that still is."""
    first = b"HTTP/1.1\r\nHost: x\r\n\r\n"
    async with limited(SHORT) as port:
        answered = await sent_to(port, b"GET / " + first, second, every_s=0.05)
        unanswered = await sent_to(port, b"GET /ticks " + first, second, every_s=0.05)

    assert answered.count(b"HTTP/1.1") == 2
    assert error_of(answered.partition(b"fine")[2])[0] in (400, 431)
    assert unanswered.startswith(b"HTTP/1.1 200 ")
    assert unanswered.count(b"HTTP/1.1") == 1


async def test_a_head_that_is_just_short_enough() -> None:
    async with serving(APP, http=HttpProtocol) as port, httpx.AsyncClient() as http:
        response = await http.get(f"http://127.0.0.1:{port}/", headers={"X": "a" * 32_000})

    assert (response.status_code, response.text) == (200, "fine")


async def test_what_follows_a_refusal_is_thrown_away_for_a_while() -> None:
    """Whoever still sends can read why it is in vain, and is not listened to for long."""
    async with limited(SHORT) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 3 * MIB)
        received = await reader.read()
        while not writer.transport.is_closing():
            writer.write(b"a")
            await asyncio.sleep(0.02)
        writer.close()

    assert error_of(received) == TOO_LONG


HEAD_LATE = (408, "The request's headers did not arrive in time")
BODY_LATE = (408, "The request's body did not arrive in time")


@pytest.mark.parametrize(
    ("sent", "every_s", "expected"),
    [
        ([b"GET / HTTP/1.1\r\nHost: x\r\n"], 0, HEAD_LATE),
        ([b"G"], 0, HEAD_LATE),
        ([b"GET / HTTP/1.1\r\n", *[b"X: a\r\n"] * 100], 0.02, HEAD_LATE),
        ([POST + b"Content-Length: 5\r\n\r\na"], 0, BODY_LATE),
        ([POST + b"Content-Length: 5\r\n\r\n"], 0, BODY_LATE),
        ([POST + b"Content-Length: 500\r\n\r\n", *[b"a"] * 100], 0.02, BODY_LATE),
        ([POST + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\na\r\n"] * 100], 0.02, BODY_LATE),
        ([POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"], 0, BODY_LATE),
    ],
    ids=["half", "a byte", "slow", "half a body", "no body", "slow body", "slow chunks", "half an end"],
)
async def test_a_request_that_does_not_come(sent: list[bytes], every_s: float, expected: tuple[int, str]) -> None:
    async with limited(SHORT) as port:
        received = await sent_to(port, *sent, every_s=every_s)

    assert error_of(received) == expected


@pytest.mark.parametrize("sent", [[], [b"\r\n"], [b"\r\n"] * 100], ids=["nothing", "a line", "lines"])
async def test_a_connection_on_which_nothing_is_asked(sent: list[bytes]) -> None:
    async with limited(SHORT) as port:
        received = await sent_to(port, *sent, every_s=0.02)

    assert received == b""


async def test_a_body_that_is_left_out_once_it_has_been_answered() -> None:
    """As by who was refused by the headers, and keeps the connection with a byte from time to time."""
    async with limited(SHORT) as port:
        received = await sent_to(
            port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n", *[b"a"] * 100, every_s=0.02
        )

    assert received.startswith(b"HTTP/1.1 405 ")
    assert received.count(b"HTTP/1.1") == 1


async def test_half_a_request_after_another() -> None:
    async with limited(SHORT) as port:
        received = await sent_to(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HT", every_s=0.05)

    first, second = received.split(b"fine")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert error_of(second) == HEAD_LATE


async def test_an_answer_may_take_its_time() -> None:
    """Also when the caller has begun to ask for more."""
    async with limited(SHORT) as port:
        whole = await sent_to(port, b"GET /ticks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        more = await sent_to(port, b"GET /ticks HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HT", every_s=0.02)

    assert whole.endswith(b"3\r\none\r\n3\r\ntwo\r\n3\r\nend\r\n0\r\n\r\n")
    answered, _, then = more.partition(b"0\r\n\r\n")
    assert answered.endswith(b"3\r\none\r\n3\r\ntwo\r\n3\r\nend\r\n")
    assert error_of(then) == HEAD_LATE


async def test_a_connection_may_rest_between_two_requests() -> None:
    async with limited(SHORT) as port, httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as http:
        first = await http.get(f"http://127.0.0.1:{port}/port")
        await asyncio.sleep(LONG)
        second = await http.get(f"http://127.0.0.1:{port}/port")

    assert first.text == second.text


@pytest.mark.parametrize("headers", [{}, {"Expect": "100-continue"}])
async def test_the_server_may_let_a_body_wait(headers: dict[str, str]) -> None:
    async with limited(SHORT) as port, httpx.AsyncClient() as http:
        response = await http.post(
            f"http://127.0.0.1:{port}/length?after={LONG}", content=b"a" * 3 * MIB, headers=headers
        )

    assert (response.status_code, response.text) == (200, str(3 * MIB))


async def test_a_larger_body_has_longer() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"a" * MIB
            await asyncio.sleep(0.15)

    async with limited(Limits(body_s=0.3)) as port, httpx.AsyncClient() as http:
        response = await http.post(f"http://127.0.0.1:{port}/length", content=pieces())

    assert (response.status_code, response.text) == (200, str(3 * MIB))


async def test_a_websocket_may_be_silent() -> None:
    async with limited(SHORT) as port, connect(f"ws://127.0.0.1:{port}{PATH}") as socket:
        await asyncio.sleep(LONG)
        await socket.send("still here")
        received = await socket.recv()

    assert received == "still here"


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[bool]:
    """A connection on which a request has been sent; yields whether it was answered, and so has its place."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            yield b" 200 " in await reader.readline()
        except ConnectionError:  # closed before it was read
            yield False
    finally:
        writer.close()


async def becomes_open(port: int) -> bool:
    """Whether there is room once the server has noticed that others have left."""
    for _ in range(500):
        async with connected(port) as is_open:
            if is_open:
                return True
        await asyncio.sleep(0.01)
    return False


async def test_one_connection_too_many_is_told_so_and_closed() -> None:
    async with limited(Limits(), connections=Connections([], of_process=10, of_address=2)) as port:
        async with connected(port) as first, connected(port) as second:
            received = await sent_to(port)
        again = await becomes_open(port)

    assert (first, second, again) == (True, True, True)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"connection: close" in head
    assert b"retry-after: 10" in head
    assert json.loads(body) == {
        "error": {
            "code": "RATE_LIMITED",
            "message": "Too many connections are open: at most 2 of a client address",
        }
    }


async def test_those_of_a_trusted_proxy_are_many_clients() -> None:
    connections = Connections([ip_network("127.0.0.0/8")], of_process=4, of_address=2)

    async with limited(Limits(), connections=connections) as port, AsyncExitStack() as held:
        answered = [await held.enter_async_context(connected(port)) for _ in range(5)]

    assert answered == [True, True, True, True, False]


async def test_a_websocket_keeps_its_place_until_it_is_gone() -> None:
    async with limited(Limits(), connections=Connections([], of_process=10, of_address=1)) as port:
        async with connect(f"ws://127.0.0.1:{port}{PATH}"), connected(port) as meanwhile:
            pass
        after = await becomes_open(port)

    assert (meanwhile, after) == (False, True)
