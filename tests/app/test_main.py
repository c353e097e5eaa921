"""The application as it is put together."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from app.main import create_app
from app.rate_limit import LocalRateLimiter, RedisRateLimiter
from app.rest import adapter
from app.rest.adapter import RouteError
from app.rest.routes import Route
from schema.runtime import Runtime
from tests.support.api import Api, client, error
from tests.support.runtime import on_both, settings_for


@on_both
async def test_it_is_ready_when_its_database_is(api: Api) -> None:
    response = await api.http.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok"}}


async def test_others_add_their_checks(runtime: Runtime) -> None:
    async def queue() -> str | None:
        return "Nobody works"

    async with client(create_app(runtime, checks={"queue": queue})) as http:
        response = await http.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "ok", "migrations": "ok", "queue": "Nobody works"}


async def test_a_database_that_was_not_migrated(tmp_path_factory: pytest.TempPathFactory) -> None:
    runtime = Runtime.open(settings_for(tmp_path_factory.mktemp("empty")))

    with capture_logs():
        async with client(create_app(runtime)) as http:
            response = await http.get("/readyz")
    await runtime.close()

    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "ok", "migrations": "The check failed; the log says why"}


async def test_requests_are_counted_by_route(api: Api) -> None:
    await api.get("/agents/clx")
    await api.get("/nothing")

    text = (await api.http.get("/metrics")).text

    assert 'voxforge_http_requests_total{method="GET",route="/api/v1/agents/{id}",status="404"} 1.0' in text
    assert 'voxforge_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text


async def test_every_request_is_logged_with_its_id_and_without_its_secrets(api: Api) -> None:
    """R11."""
    with capture_logs() as logs:
        await api.get("/calls?status=queued", headers={"X-Request-Id": "order-4711"})

    (line,) = [each for each in logs if each["event"] == "request"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/calls", 200)
    assert api.key not in str(logs)


@pytest.mark.parametrize("path", ["/api/v1/agents", "/nothing", "/"])
async def test_behind_a_prefix(api: Api, path: str) -> None:
    """A proxy that mounts us below a path: ASGI's `root_path`."""
    transport = httpx.ASGITransport(api.app, root_path="/voice")
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy.test") as http:
        stranger = await http.get(f"/voice{path}")
        guest = await http.get(f"/voice{path}", headers={"Authorization": f"Bearer {api.key}"})

    expected = {"/api/v1/agents": (401, 200), "/nothing": (404, 404), "/": (200, 200)}
    assert (stranger.status_code, guest.status_code) == expected[path]


async def test_stopping_closes_what_it_holds(runtime: Runtime) -> None:
    class Limiter(LocalRateLimiter):
        closed = False

        async def close(self) -> None:
            self.closed = True

    limiter = Limiter(runtime.clock)
    app = create_app(runtime, limiter=limiter)

    async with app.router.lifespan_context(app):
        assert not limiter.closed

    assert limiter.closed


async def test_limits_count_in_redis_where_there_is_one(runtime: Runtime, redis_url: str) -> None:
    """K5: two servers, one count."""
    settings = settings_for(runtime.settings.data, redis_url=redis_url)
    apps = [create_app(Runtime(settings, runtime.clock, runtime.database, runtime.bell, b"")) for _ in range(2)]
    limiters = [limiter_of(app) for app in apps]

    assert [type(limiter) for limiter in limiters] == [RedisRateLimiter] * 2
    used = [(await limiter.hit("key:k", 10)).remaining for limiter in limiters]
    assert used == [9, 8]
    for limiter in limiters:
        await limiter.close()


def limiter_of(app: Starlette) -> RedisRateLimiter:
    (layer,) = [layer for layer in app.user_middleware if "limiter" in layer.kwargs]
    limiter = layer.kwargs["limiter"]
    assert isinstance(limiter, RedisRateLimiter)
    return limiter


async def test_a_table_that_does_not_fit_stops_the_start(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (Route("GET", "/moods", "ListMoods"),)
    monkeypatch.setattr(adapter.compile_endpoints, "__defaults__", (broken, None))

    with pytest.raises(RouteError):
        create_app(runtime)


async def test_an_unknown_path_is_the_envelope(api: Api) -> None:
    assert error(await api.http.get("/favicon.ico")) == (404, "NOT_FOUND", "No such route: GET /favicon.ico")
