"""What is not HTTP is refused in the envelope, too (decision E1)."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http_protocol import HttpProtocol
from tests.app.support import serving, small_app


async def answer(request: Request) -> Response:
    return Response("fine")


APP = small_app([Route("/", answer)])


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
