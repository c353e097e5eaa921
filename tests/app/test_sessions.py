"""`/session`: signing in and out, the cookie, and how long it is good (decision 0011)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.main import create_app
from schema.services import passwords
from schema.settings import Settings
from schema.tables import Session, User
from tests.app.browsers import ENDED, KIM, NEW, VIEWER, WRONG, browser, choose, running_with, sign_in
from tests.support import seeds
from tests.support.api import Api, error
from tests.support.invariants import rows
from tests.support.runtime import on_both

# --- in and out ---


@on_both
async def test_in_and_out(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    said = {
        "user": {"id": kim.id, "email": KIM, "role": "owner", "mustChangePassword": False},
        "workspace": {"id": api.viewer.workspace_id, "name": "Acme", "plan": "professional"},
    }

    before = await web.get("/session")
    signed_in = await sign_in(web, " Kim@Example.COM ")
    seen = await web.get("/session")
    asked = await web.post("/graphql", json=VIEWER)
    out = await web.delete("/session")

    assert error(before) == (401, "UNAUTHORIZED", "You are not signed in")
    assert (signed_in.status_code, signed_in.json()) == (200, said)
    assert (seen.status_code, seen.json()) == (200, said)
    assert asked.json() == {"data": {"viewer": {"user": {"email": KIM}, "key": None}}}
    assert (out.status_code, out.content) == (204, b"")
    assert dict(web.cookies) == {}
    assert await api.runtime.snapshot(api.viewer).all(api.runtime.snapshot(api.viewer).select(Session)) == []
    assert {answer.headers["cache-control"] for answer in (before, signed_in, seen, out)} == {"no-store"}


@on_both
async def test_an_old_cookie_is_nothing_after_signing_out(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    cookie = {"Cookie": f"voxforge_session={web.cookies['voxforge_session']}"}
    await web.delete("/session")

    async with browser(api.app) as thief:
        assert error(await thief.get("/session", headers=cookie)) == ENDED
        assert error(await thief.post("/graphql", json=VIEWER, headers=cookie)) == ENDED
        assert (await thief.delete("/session", headers=cookie)).status_code == 204


async def test_what_is_kept_of_a_session(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web, headers={"User-Agent": "Fire\x01fox" + "x" * 300})

    token = web.cookies["voxforge_session"]
    (row,) = (await rows(api.runtime))["sessions"]
    assert row["user_agent"] == ("Firefox" + "x" * 300)[:200]
    assert (row["address"], row["created_at"], row["last_used_at"]) == ("127.0.0.1", api.clock.now(), api.clock.now())
    assert row["expires_at"] == api.clock.now() + timedelta(days=30)
    assert token.startswith("vf_session_")
    assert token not in json.dumps(await rows(api.runtime), default=str)


async def test_signing_in_again_is_no_second_session(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    first = web.cookies["voxforge_session"]

    await sign_in(web)

    assert len((await rows(api.runtime))["sessions"]) == 1
    assert web.cookies["voxforge_session"] != first


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"email": KIM}, "password is required"),
        ({"password": "x"}, "email is required"),
        ({"email": KIM, "password": None}, "password cannot be null"),
        ({"email": [KIM], "password": "x"}, "email must be a string"),
        ({"email": KIM, "password": 5}, "password must be a string"),
        ({"email": KIM, "password": "x", "remember": True}, "Unknown field 'remember'"),
        ([KIM, "x"], "The request body must be an object"),
    ],
)
async def test_a_body_that_is_no_sign_in(api: Api, web: httpx.AsyncClient, body: Any, message: str) -> None:
    async with api.unchanged():
        assert error(await web.post("/session", json=body)) == (400, "BAD_REQUEST", message)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (KIM, "a sentence of his own"),
        (KIM, ""),
        ("lee@example.com", seeds.PASSWORD),
        ("kim", seeds.PASSWORD),
        ("kim\0@example.com", seeds.PASSWORD),
        (KIM + "x" * 5_000, "x" * 5_000),
    ],
)
@on_both
async def test_what_is_wrong_is_not_said(
    api: Api, web: httpx.AsyncClient, kim: User, email: str, password: str
) -> None:
    async with api.unchanged():
        refused = await sign_in(web, email, password)

    assert error(refused) == WRONG
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_other_methods_are_refused_as_everywhere(web: httpx.AsyncClient, method: str) -> None:
    refused = await web.request(method, "/session", json={})

    message = f"{method} is not allowed on /session, only DELETE, GET, HEAD, POST"
    assert (error(refused), refused.headers["allow"]) == (
        (405, "BAD_REQUEST", message),
        "DELETE, GET, HEAD, POST",
    )


# --- the cookie ---


async def test_the_cookie_on_localhost(web: httpx.AsyncClient, kim: User) -> None:
    signed_in = await sign_in(web)
    out = await web.delete("/session")

    name, *attributes = signed_in.headers["set-cookie"].split("; ")
    assert name.startswith("voxforge_session=vf_session_")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=lax"]
    name, *attributes = out.headers["set-cookie"].split("; ")
    assert name == 'voxforge_session=""'
    assert {"HttpOnly", "Max-Age=0", "Path=/", "SameSite=lax"} <= set(attributes)


async def test_the_cookie_on_https(api: Api, settings: Settings, kim: User) -> None:
    app = create_app(running_with(api, settings, public_url="https://voice.example.com"))

    async with browser(app, base="https://voice.example.com") as web:
        signed_in = await sign_in(web)
        seen = await web.get("/session")

    name, *attributes = signed_in.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-voxforge_session=vf_session_")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=lax", "Secure"]
    assert seen.status_code == 200


async def test_of_two_cookies_nobody_can_tell_which_is_ours(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    ours = f"voxforge_session={web.cookies['voxforge_session']}"

    async with browser(api.app) as http:
        one = await http.get("/session", headers={"Cookie": f"a=b; {ours}; c"})
        two = await http.get("/session", headers={"Cookie": f"voxforge_session=x; {ours}"})

    assert one.status_code == 200
    assert error(two) == ENDED


# --- how long ---


@on_both
async def test_a_session_that_nobody_uses_ends_after_a_week(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    await api.clock.advance(7 * 86_400 - 1)
    kept = await web.get("/session")
    await api.clock.advance(7 * 86_400 - 1)
    kept_again = await web.get("/session")
    await api.clock.advance(7 * 86_400)

    assert (kept.status_code, kept_again.status_code) == (200, 200)
    assert error(await web.get("/session")) == ENDED
    assert error(await web.post("/graphql", json=VIEWER)) == ENDED


@on_both
async def test_a_session_ends_after_thirty_days_however_much_it_is_used(
    api: Api, web: httpx.AsyncClient, kim: User
) -> None:
    await sign_in(web)
    token = web.cookies["voxforge_session"]
    statuses = []
    for _ in range(30):
        await api.clock.advance(86_400)
        answer = await web.get("/session", headers={"Cookie": f"voxforge_session={token}"})
        statuses.append(answer.status_code)

    assert statuses == [200] * 29 + [401]


async def test_the_last_use_is_noted_once_a_minute(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    noted = []
    for seconds in (59, 1, 30):
        await api.clock.advance(seconds)
        await web.get("/session")
        (row,) = (await rows(api.runtime))["sessions"]
        noted.append(row["last_used_at"])

    start = seeds.at("2025-01-15T14:00:00Z")
    assert noted == [start, start + timedelta(minutes=1), start + timedelta(minutes=1)]


# --- one-time passwords ---


@on_both
async def test_a_one_time_password_opens_nothing_but_another(api: Api, web: httpx.AsyncClient) -> None:
    lee = await seeds.user(api.runtime, api.viewer, email="lee@example.com", password=None)
    await api.set(User, lee.id, password_hash=await passwords.hashed("one time only"))

    signed_in = await sign_in(web, "lee@example.com", "one time only")
    seen = await web.get("/session")
    refused = await web.post("/graphql", json=VIEWER)
    old = web.cookies["voxforge_session"]
    chosen = await choose(web, "one time only")
    asked = await web.post("/graphql", json=VIEWER)

    assert signed_in.json()["user"]["mustChangePassword"] is seen.json()["user"]["mustChangePassword"] is True
    message = "Choose a password of your own first, in place of the one-time password: POST /session/password"
    assert error(refused) == (403, "FORBIDDEN", message)
    assert (chosen.status_code, chosen.json()["user"]["mustChangePassword"]) == (200, False)
    assert asked.json() == {"data": {"viewer": {"user": {"email": "lee@example.com"}, "key": None}}}
    async with browser(api.app) as other:
        assert error(await other.get("/session", headers={"Cookie": f"voxforge_session={old}"})) == ENDED
        assert error(await sign_in(other, "lee@example.com", "one time only")) == WRONG
        assert (await sign_in(other, "lee@example.com", NEW)).status_code == 200


@on_both
async def test_another_password_ends_the_other_sessions(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    await sign_in(web)
    async with browser(api.app) as phone:
        await sign_in(phone)

        changed = await choose(web, seeds.PASSWORD)

        assert changed.status_code == 200
        assert error(await phone.get("/session")) == ENDED
        assert (await web.get("/session")).status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "message"),
    [
        ("wrong", NEW, "currentPassword is wrong"),
        (seeds.PASSWORD, "elevenchars", "newPassword must be between 12 and 200 characters"),
        (seeds.PASSWORD, seeds.PASSWORD, "newPassword must be another one than the current one"),
    ],
)
async def test_a_password_that_stays(
    api: Api, web: httpx.AsyncClient, kim: User, current: str, new: str, message: str
) -> None:
    await sign_in(web)

    async with api.unchanged():
        assert error(await choose(web, current, new)) == (400, "BAD_REQUEST", message)


async def test_choosing_a_password_needs_a_session(api: Api, web: httpx.AsyncClient, kim: User) -> None:
    async with api.unchanged():
        assert error(await choose(web, seeds.PASSWORD)) == (401, "UNAUTHORIZED", "You are not signed in")
