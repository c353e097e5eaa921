"""The dashboard at `/`, its deep links and assets, and the plain page while there is none."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from app.exceptions import EXCEPTION_HANDLERS
from app.pages import CONTENT_SECURITY_POLICY, PAGES, is_built, page_routes
from schema.settings import Settings
from schema.version import VERSION
from tests.support.api import Api, client, error

INDEX = "<!doctype html><title>VoxForge</title><script src=/assets/index-Ab12.js></script>"
SCRIPT = "document.title = 'VoxForge'\n" * 20
ROOT = Path(__file__).parent.parent.parent


def pages(static: Path, **given: str) -> httpx.AsyncClient:
    """A browser before a server that has those files."""
    settings = Settings(_env_file=None, **given)  # type: ignore[call-arg]
    app = Starlette(routes=list(page_routes(settings, static)), exception_handlers=EXCEPTION_HANDLERS)
    return client(app)


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """What a build leaves: a page and a script, that one packed in two ways, and what is none of the pages'."""
    built = tmp_path / "static"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text(INDEX)
    (built / ".stamp").write_text("sources")
    (built / "assets" / "index-Ab12.js").write_text(SCRIPT)
    (built / "assets" / "index-Ab12.js.br").write_bytes(b"as brotli would have it")
    (built / "assets" / "index-Ab12.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (built / "assets" / "notes.txt").write_text("not for the browser")
    (tmp_path / "secret.js").write_text("secret")
    return built


@pytest.mark.parametrize("path", ["/", "/calls", "/calls/c123", "/settings/api-keys", "/integrations/webhooks/logs/c1"])
async def test_the_dashboard_answers_at_its_deep_links(static: Path, path: str) -> None:
    async with pages(static) as http:
        response = await http.get(path)

    assert (response.status_code, response.text) == (200, INDEX)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_page_may_load_nothing_but_what_this_server_has() -> None:
    directives = dict(each.split(" ", 1) for each in CONTENT_SECURITY_POLICY.split("; "))

    assert directives["default-src"] == "'none'"
    assert set(directives.values()) == {"'none'", "'self'"}


@pytest.mark.parametrize("path", ["/nothing", "/callsheet", "/assets", "/assets/index-Ab13.js", "/index.html"])
async def test_what_is_no_page_is_not_found(static: Path, path: str) -> None:
    async with pages(static) as http:
        response = await http.get(path)

    assert error(response) == (404, "NOT_FOUND", f"No such route: GET {path}")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.js",
        "/assets/..%2F..%2Fsecret.js",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.js",
        "/assets/..%5C..%5Csecret.js",
        "/assets//etc/passwd",
        "/assets/notes.txt",
        "/assets/index-Ab12.js.br",
        "/assets/.stamp",
        "/.stamp",
    ],
)
async def test_only_what_was_built_for_browsers_can_be_read(static: Path, path: str) -> None:
    async with pages(static) as http:
        response = await http.send(httpx.Request("GET", httpx.URL(f"http://voxforge.test{path}")))

    assert response.status_code == 404
    assert "secret" not in response.text.replace("secret.js", "")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0", "gzip"),
        ("BR", "br"),
        ("gzip;q=0.000", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_an_asset_comes_in_the_smallest_form_that_is_accepted(
    static: Path, accepted: str, coding: str | None
) -> None:
    asked = {"Accept-Encoding": accepted}
    async with pages(static) as http, http.stream("GET", "/assets/index-Ab12.js", headers=asked) as response:
        content = b"".join([part async for part in response.aiter_raw()])

    expected = {"br": b"as brotli would have it", None: SCRIPT.encode()}
    assert response.headers.get("content-encoding") == coding
    assert (gzip.decompress(content) if coding == "gzip" else content) == expected.get(coding, SCRIPT.encode())
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["vary"] == "Accept-Encoding"


async def test_an_asset_may_be_kept_forever(static: Path) -> None:
    async with pages(static) as http:
        response = await http.get("/assets/index-Ab12.js", headers={"Accept-Encoding": "identity"})

    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_pages_are_only_read(static: Path) -> None:
    async with pages(static) as http:
        response = await http.post("/calls")
        head = await http.head("/calls")

    assert error(response) == (405, "BAD_REQUEST", "POST is not allowed on /calls, only GET, HEAD")
    assert head.status_code == 200


async def test_a_build_that_is_newer_is_served_by_the_next_server(static: Path) -> None:
    async with pages(static) as http:
        before = await http.get("/")
    (static / "index.html").write_text("another")

    async with pages(static) as http:
        after = await http.get("/")

    assert (before.text, after.text) == (INDEX, "another")


def test_the_pages_that_are_routed_are_those_that_the_dashboard_has() -> None:
    source = (ROOT / "app/ui/src/app.tsx").read_text()

    named = set(re.findall(r'path="/([a-z-]+)', source))
    assert named == set(PAGES)


async def test_without_a_build_a_plain_page_says_what_runs_and_where_to_go(tmp_path: Path) -> None:
    async with pages(tmp_path / "absent") as http:
        response = await http.get("/")
        deep = await http.get("/calls")

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert VERSION in response.text
    assert "http://127.0.0.1:8000/api/v1/agents" in response.text
    assert "Bearer YOUR_API_KEY" in response.text
    for path in ("/api/v1/openapi.json", "/graphql", "/healthz"):
        assert f'href="{path}"' in response.text
    assert deep.status_code == 404


async def test_the_plain_page_needs_nothing_but_this_server(tmp_path: Path) -> None:
    async with pages(tmp_path) as http:
        response = await http.get("/")

    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!/(?!/))[^\s\"')>]+", response.text) == []
    assert "<script" not in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


async def test_on_the_plain_page_the_address_of_the_server_is_text(tmp_path: Path) -> None:
    async with pages(tmp_path, public_url='https://voice.example.com/"><script>') as http:
        response = await http.get("/")

    assert "<script" not in response.text
    assert "https://voice.example.com/&quot;&gt;&lt;script&gt;/api/v1/agents" in response.text


async def test_the_application_serves_what_is_built(api: Api) -> None:
    response = await api.http.get("/")

    assert response.status_code == 200
    assert ('<div id="root">' in response.text) == is_built()
