"""413 without reading to the end (decision E6)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.body_limit import MIB, BodyLimit
from tests.app.support import client, serving, small_app


async def read(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def swallow(request: Request) -> Response:
    try:
        await request.body()
    except Exception:  # noqa: BLE001 (the mistake that this route is here to make)
        return Response("I do not mind", status_code=200)
    return Response("read")


async def refuse(request: Request) -> Response:
    return Response("no", status_code=401)


ROUTES = [
    Route("/read", read, methods=["POST"]),
    Route("/import", read, methods=["POST"]),
    Route("/swallow", swallow, methods=["POST"]),
    Route("/refuse", refuse, methods=["POST"]),
]
TOO_LARGE = {"error": {"code": "BAD_REQUEST", "message": "The request body is larger than 1 MiB"}}
HEAD = b"POST /%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n"


def app(linger_s: float = 0.2) -> BodyLimit | object:
    return small_app(ROUTES, larger={"/import": 25 * MIB}, linger_s=linger_s)


async def chunks(size: int) -> AsyncIterator[bytes]:
    while size:
        step = min(size, 64 * 1024)
        yield b"x" * step
        size -= step


@pytest.mark.parametrize(("path", "limit"), [("/read", MIB), ("/import", 25 * MIB)])
async def test_a_body_of_exactly_the_limit_is_read(path: str, limit: int) -> None:
    async with client(app()) as http:
        declared = await http.post(path, content=b"x" * limit)
        chunked = await http.post(path, content=chunks(limit))

    assert (declared.status_code, declared.text) == (200, str(limit))
    assert (chunked.status_code, chunked.text) == (200, str(limit))


@pytest.mark.parametrize(("path", "limit", "said"), [("/read", MIB, "1 MiB"), ("/import", 25 * MIB, "25 MiB")])
async def test_one_byte_more_is_refused(path: str, limit: int, said: str) -> None:
    async with client(app()) as http:
        declared = await http.post(path, content=b"x" * (limit + 1))
        chunked = await http.post(path, content=chunks(limit + 1))

    for response in (declared, chunked):
        assert response.status_code == 413
        assert response.json() == {
            "error": {"code": "BAD_REQUEST", "message": f"The request body is larger than {said}"}
        }
        assert response.headers["content-type"] == "application/json"
        assert response.headers.get_list("connection") == ["close"]
        assert response.headers["x-request-id"]


async def test_what_the_reader_makes_of_it_does_not_matter() -> None:
    async with client(app()) as http:
        response = await http.post("/swallow", content=chunks(2 * MIB))

    assert response.status_code == 413
    assert response.json() == TOO_LARGE


@pytest.mark.parametrize("length", [b"1048577", b"9" * 18])
async def test_a_declared_length_is_refused_before_any_of_it_is_sent(length: bytes) -> None:
    async with serving(app()) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % (b"read", b"Content-Length: " + length))
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'"The request body is larger than 1 MiB"}}')


async def test_the_answer_does_not_wait_for_the_lingering() -> None:
    async with serving(app(linger_s=60)) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % (b"read", b"Content-Length: 2000000"))
        answer = await reader.readuntil(b"}}")
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_caller_who_asks_first_is_told_not_to_send() -> None:
    async with serving(app(linger_s=60)) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % (b"read", b"Content-Length: 2000000\r\nExpect: 100-continue"))
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def send_without_end(port: int) -> tuple[int, bytes]:
    """How much was sent before the server hung up, and what it had said."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(HEAD % (b"read", b"Transfer-Encoding: chunked"))
        with contextlib.suppress(ConnectionError):
            while sent < 1000 * MIB:
                connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
        return sent, connection.recv(65536)


async def test_an_endless_chunked_body_is_cut_off() -> None:
    async with serving(app()) as port:
        sent, answer = await asyncio.to_thread(send_without_end, port)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 40 * MIB  # 1 read, 16 thrown away, and the kernel's buffers on both sides


@pytest.mark.parametrize("size", [2 * MIB, 12 * MIB])
async def test_a_caller_who_sends_it_all_still_reads_the_answer(size: int) -> None:
    async with serving(app(linger_s=2)) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        declared = await http.post("/read", content=b"x" * size)
        chunked = await http.post("/read", content=chunks(size))

    assert (declared.status_code, declared.json()) == (413, TOO_LARGE)
    assert (chunked.status_code, chunked.json()) == (413, TOO_LARGE)


async def test_an_early_answer_to_a_body_without_a_length_ends_the_connection() -> None:
    async with serving(app()) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % (b"refuse", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer


async def test_a_chunked_body_that_was_read_keeps_it() -> None:
    async with serving(app()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        response = await http.post("/read", content=chunks(1000))

    assert (response.status_code, response.text) == (200, "1000")
    assert "connection" not in response.headers


async def test_an_early_answer_to_a_body_with_a_length_keeps_it() -> None:
    async with serving(app()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        response = await http.post("/refuse", content=b"x" * 1000)

    assert response.status_code == 401
    assert "connection" not in response.headers


async def test_a_length_that_is_no_number_is_counted() -> None:
    scope = {"type": "http", "path": "/", "root_path": "", "headers": [(b"content-length", b"many")]}
    answer: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * 11, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        answer.append(message)

    async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    await BodyLimit(read_all, limit=10)(scope, receive, send)

    assert answer[0]["status"] == 413


async def test_lingering_ends() -> None:
    begun = time.monotonic()

    async with serving(app(linger_s=0.1)) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % (b"read", b"Content-Length: 2000000"))
        await reader.read()
        writer.close()

    assert 0.1 <= time.monotonic() - begun < 3
