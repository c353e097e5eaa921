"""A body as CSV text: what it may be declared as, and what it is then."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.csv_body import read_csv
from tests.app.support import client, small_app


async def echo(request: Request) -> Response:
    return PlainTextResponse(await read_csv(request))


APP = small_app([Route("/", echo, methods=["POST"])])


@pytest.mark.parametrize(
    "declared",
    ["text/csv", " TEXT/CSV ;charset=utf-8", "application/csv", "application/vnd.ms-excel", "text/csv; charset=UTF8"],
)
async def test_csv_is_read(declared: str) -> None:
    async with client(APP) as http:
        response = await http.post("/", content="a;Zoë\r\n".encode("utf-8-sig"), headers={"Content-Type": declared})

    assert (response.status_code, response.text) == (200, "a;Zoë\r\n")


@pytest.mark.parametrize("declared", ["", "text/plain", "text/csvx", "text/csv; charset=cp1252", "application/json"])
async def test_what_is_declared_otherwise_is_not(declared: str) -> None:
    async with client(APP) as http:
        response = await http.post("/", content=b"a", headers={"Content-Type": declared})

    message = "Content-Type must be text/csv, in UTF-8 or UTF-16"
    assert (response.status_code, response.json()) == (415, {"error": {"code": "BAD_REQUEST", "message": message}})


async def test_what_is_not_text_is_refused() -> None:
    async with client(APP) as http:
        response = await http.post("/", content=b"\xff", headers={"Content-Type": "text/csv"})

    assert response.status_code == 400
