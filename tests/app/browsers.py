"""Somebody in front of a browser: the requests that the dashboard's pages will send, and what is answered."""

from __future__ import annotations

from typing import Any

import httpx

from app.session_cookie import ELSEWHERE
from schema.runtime import Runtime
from schema.settings import Settings
from tests.support import seeds
from tests.support.api import Api
from tests.support.runtime import settings_for

BASE = "http://voxforge.test"
ORIGIN = {"Origin": BASE}
KIM = "kim@example.com"
NEW = "another sentence of mine"
WRONG = (401, "UNAUTHORIZED", "Wrong e-mail address or password")
THROTTLED = (429, "RATE_LIMITED", "Too many failed sign-ins: wait, then try again")
ENDED = (401, "UNAUTHORIZED", "Your session has ended: sign in again")
FORGED = (403, "FORBIDDEN", ELSEWHERE)
VIEWER = {"query": "{ viewer { user { email } key { name } } }"}


def browser(app: Any, peer: str = "127.0.0.1", base: str = BASE) -> httpx.AsyncClient:
    """A browser with its own cookies, on the dashboard."""
    transport = httpx.ASGITransport(app, client=(peer, 40000))
    return httpx.AsyncClient(transport=transport, base_url=base, headers={"Origin": base})


async def sign_in(
    http: httpx.AsyncClient, email: str = KIM, password: str = seeds.PASSWORD, **given: Any
) -> httpx.Response:
    return await http.post("/session", json={"email": email, "password": password}, **given)


async def choose(http: httpx.AsyncClient, current: str, new: str = NEW) -> httpx.Response:
    return await http.post("/session/password", json={"currentPassword": current, "newPassword": new})


def running_with(api: Api, settings: Settings, **given: Any) -> Runtime:
    changed = settings_for(settings.data, **given)
    return Runtime(changed, api.clock, api.runtime.database, api.runtime.bell, api.runtime.secret)
