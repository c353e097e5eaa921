"""Sessions under attack: forged requests, guesses, and what is logged (decision 0011)."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from ipaddress import ip_network

import httpx
import pytest
import structlog

from app import logs
from app.main import create_app
from schema.rules.plans import Plan
from schema.services import passwords
from schema.settings import Settings
from schema.tables import User
from tests.app.browsers import (
    BASE,
    FORGED,
    KIM,
    NEW,
    ORIGIN,
    THROTTLED,
    VIEWER,
    WRONG,
    browser,
    choose,
    running_with,
    sign_in,
)
from tests.support import seeds
from tests.support.api import Api, error
from tests.support.runtime import on_both

# --- where a session is good ---


@pytest.mark.parametrize("path", ["/api/v1/agents", "/api/v1/graphql", "/api/v1/calls"])
async def test_never_on_the_rest_api(api: Api, web: httpx.AsyncClient, kim: User, path: str) -> None:
    await sign_in(web)

    assert error(await web.get(path)) == (401, "UNAUTHORIZED", "Missing or invalid API key")


async def test_a_key_counts_before_a_cookie(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    del web.headers["Origin"]
    key = {"Authorization": f"Bearer {api.key}"}

    rest = await web.get("/api/v1/agents", headers=key)
    graph = await web.post("/graphql", json=VIEWER, headers=key)
    bad = await web.post("/graphql", json=VIEWER, headers={"Authorization": "Bearer x"} | ORIGIN)

    assert rest.status_code == 200
    assert graph.json() == {"data": {"viewer": {"user": None, "key": {"name": "Zapier"}}}}
    assert error(bad) == (401, "UNAUTHORIZED", "Missing or invalid API key")


# --- requests that another site has a browser send ---

HEADERS = [
    {},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "voxforge.test"},
    {"Origin": "https://voxforge.test"},
    {"Origin": "http://voxforge.test:8080"},
    {"Origin": "http://evil.test"},
    {"Origin": "http://voxforge.test.evil.test"},
    {"Origin": "http://voxforge.test@evil.test"},
    {"Origin": "http://evil.test/http://voxforge.test"},
    ORIGIN | {"Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", HEADERS)
async def test_forged_requests(api: Api, web: httpx.AsyncClient, kim: User, headers: dict[str, str]) -> None:
    await sign_in(web)
    del web.headers["Origin"]

    async with api.unchanged():
        for method, path, body in (
            ("POST", "/graphql", VIEWER),
            ("POST", "/session", {"email": KIM, "password": seeds.PASSWORD}),
            ("POST", "/session/password", {"currentPassword": seeds.PASSWORD, "newPassword": NEW}),
            ("DELETE", "/session", None),
        ):
            answer = await web.request(method, path, json=body, headers=headers)
            assert error(answer) == FORGED, path


async def test_two_origins_are_none(web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    del web.headers["Origin"]

    answer = await web.post("/graphql", json=VIEWER, headers=[("Origin", BASE), ("Origin", "http://evil.test")])

    assert error(answer) == FORGED


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("path", ["/graphql", "/session", "/session/password"])
async def test_forms_are_refused(api: Api, web: httpx.AsyncClient, kim: User, path: str, kind: str) -> None:
    await sign_in(web)

    async with api.unchanged():
        answer = await web.post(path, content=b"{}", headers={"Content-Type": kind})

    assert error(answer) == (415, "BAD_REQUEST", "Content-Type must be application/json")


@pytest.mark.parametrize(
    ("public", "origin"),
    [
        ("http://127.0.0.1:8000", "http://voxforge.test"),
        ("https://Voice.Example.com", "https://voice.example.com"),
        ("https://voice.example.com:443/app", "https://voice.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
async def test_our_own_origins(api: Api, settings: Settings, kim: User, public: str, origin: str) -> None:
    """The public address, which a proxy may hide from us, and the one that was asked."""
    app = create_app(running_with(api, settings, public_url=public))

    async with browser(app) as web:
        answer = await sign_in(web, headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 200


# --- guessing ---


@on_both
@pytest.mark.parametrize("email", [KIM, "nobody@example.com"])
async def test_ten_failures_in_a_quarter_of_an_hour_for_an_address(api: Api, kim: User, email: str) -> None:
    """The same for an address that nobody has; from wherever they come."""
    answers = []
    for i in range(11):
        async with browser(api.app, peer=f"203.0.113.{i}") as http:
            answers.append(await sign_in(http, email, "guess"))
    async with browser(api.app, peer="198.51.100.1") as http:
        right = await sign_in(http, email)
        await api.clock.advance(15 * 60 - 1)
        late = await sign_in(http, email)
        other = await sign_in(http, "lee@example.com")
        await api.clock.advance(1)
        again = await sign_in(http, email)

    assert [error(answer) for answer in answers] == [WRONG] * 10 + [THROTTLED]
    assert (error(right), right.headers["retry-after"]) == (THROTTLED, "900")
    assert (error(late), late.headers["retry-after"]) == (THROTTLED, "1")
    assert error(other) == WRONG
    assert again.status_code == (200 if email == KIM else 401)


async def test_ten_failures_a_minute_from_an_address(api: Api, kim: User) -> None:
    async with browser(api.app, peer="203.0.113.1") as http, browser(api.app, peer="203.0.113.2") as other:
        answers = [await sign_in(http, f"{i}@example.com") for i in range(10)]
        right = await sign_in(http)
        elsewhere = await sign_in(other)
        await api.clock.advance(60)
        again = await sign_in(http)

    assert [error(answer) for answer in answers] == [WRONG] * 10
    assert (error(right), right.headers["retry-after"]) == (THROTTLED, "60")
    assert (elsewhere.status_code, again.status_code) == (200, 200)


async def test_an_ipv6_client_has_one_count_for_its_network(api: Api, kim: User) -> None:
    answers = []
    for i in range(11):
        async with browser(api.app, peer=f"2001:db8::{i:x}") as http:
            answers.append((await sign_in(http, f"{i}@example.com")).status_code)

    assert answers == [401] * 10 + [429]


async def test_the_client_is_who_a_trusted_proxy_says(api: Api, settings: Settings, kim: User) -> None:
    app = create_app(running_with(api, settings, trusted_proxies=(ip_network("10.0.0.0/8"),)))
    async with browser(app, peer="10.0.0.1") as proxy:
        for i in range(10):
            await sign_in(proxy, f"{i}@example.com", headers={"X-Forwarded-For": "203.0.113.9"})

        same = await sign_in(proxy, headers={"X-Forwarded-For": "203.0.113.9"})
        other = await sign_in(proxy, headers={"X-Forwarded-For": "203.0.113.10"})

    assert (same.status_code, other.status_code) == (429, 200)


async def test_signing_in_resets_no_count(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    for _ in range(9):
        await sign_in(web, password="guess")
    right = await sign_in(web)
    last = await sign_in(web, password="guess")

    assert (right.status_code, last.status_code) == (200, 401)
    assert error(await sign_in(web)) == THROTTLED


async def test_signing_in_is_not_counted(web: httpx.AsyncClient, kim: User) -> None:
    assert [(await sign_in(web)).status_code for _ in range(25)] == [200] * 25


async def test_many_guesses_at_once_are_no_more(
    api: Api, web: httpx.AsyncClient, kim: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda kept, given: tried.append(given) or verify(kept, given))

    answers = await asyncio.gather(*(sign_in(web, password=f"guess {i}") for i in range(40)))

    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 30
    assert len(tried) == 10


async def test_guessing_with_a_stolen_session_is_counted(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    for _ in range(10):
        await choose(web, "guess")

    assert error(await choose(web, seeds.PASSWORD)) == THROTTLED


# --- rate limits ---


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_requests_count_for_the_person_in_all_browsers(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    """K5: as many as a key may make; a key of the workspace has its own count."""
    await sign_in(web)
    async with browser(api.app) as phone:
        await sign_in(phone)
        first = await web.post("/graphql", json=VIEWER)
        for _ in range(58):
            await phone.post("/graphql", json=VIEWER)
        last = await web.get("/session")
        over = await phone.post("/graphql", json=VIEWER)
        out = await phone.delete("/session")

    limits = [(each.headers["x-ratelimit-limit"], each.headers["x-ratelimit-remaining"]) for each in (first, last)]
    assert limits == [("60", "59"), ("60", "0")]
    assert error(over) == (
        429,
        "RATE_LIMITED",
        "Too many requests: wait until X-RateLimit-Reset, then try again",
    )
    assert out.status_code == 204
    assert (await api.get("/agents")).headers["x-ratelimit-remaining"] == "59"


async def test_bad_cookies_are_counted_like_bad_keys(api: Api) -> None:
    bad = {"Cookie": "voxforge_session=vf_session_" + "x" * 43}
    async with browser(api.app, peer="203.0.113.1") as http:
        shown = [(await http.get("/session", headers=bad)).status_code for _ in range(10)]
        asked = [(await http.post("/graphql", json=VIEWER, headers=bad)).status_code for _ in range(11)]

    assert shown + asked == [401] * 20 + [429]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process logs, as JSON lines."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("json", level="DEBUG", stream=stream)
    yield stream
    root.handlers[:] = kept
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


# --- logs ---


async def test_no_password_token_or_cookie_is_logged(
    api: Api, web: httpx.AsyncClient, kim: User, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(web)
    token = web.cookies["voxforge_session"]
    await sign_in(web, password="a wrong sentence")
    await choose(web, "a wrong sentence", NEW)
    created = await web.post(
        "/graphql",
        json={"query": 'mutation { createUser(input: {email: "l@example.com", role: MEMBER}) { oneTimePassword } }'},
    )

    async def crash(*_: object, **__: object) -> None:
        raise LookupError(f"Cookie: voxforge_session={token}; password={NEW}")

    monkeypatch.setattr("schema.services.sessions.sign_in", crash)
    crashed = await sign_in(web)

    assert crashed.status_code == 500
    once = created.json()["data"]["createUser"]["oneTimePassword"]
    assert "crash" in log.getvalue()
    for secret in (seeds.PASSWORD, "a wrong sentence", NEW, once, token, web.cookies["voxforge_session"]):
        assert secret not in log.getvalue()
