"""The page at `/`."""

from __future__ import annotations

import re

from starlette.applications import Starlette

from app.pages import page_routes
from schema.settings import Settings
from schema.version import VERSION
from tests.support.api import Api, client


async def test_the_page_says_what_runs_and_where_to_go(api: Api) -> None:
    async with client(api.app) as http:
        response = await http.get("/")

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert VERSION in response.text
    assert "http://127.0.0.1:8000/api/v1/agents" in response.text
    assert "Bearer YOUR_API_KEY" in response.text
    for path in ("/api/v1/openapi.json", "/graphql", "/healthz"):
        assert f'href="{path}"' in response.text


async def test_the_page_needs_nothing_but_this_server(api: Api) -> None:
    response = await api.http.get("/")

    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!/(?!/))[^\s\"')>]+", response.text) == []
    assert "<script" not in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_address_of_the_server_is_text() -> None:
    settings = Settings(_env_file=None, public_url='https://voice.example.com/"><script>')  # type: ignore[call-arg]

    async with client(Starlette(routes=list(page_routes(settings)))) as http:
        response = await http.get("/")

    assert "<script" not in response.text
    assert "https://voice.example.com/&quot;&gt;&lt;script&gt;/api/v1/agents" in response.text
