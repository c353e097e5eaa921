"""Whether the process is up, and whether it can work."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from app.health import Check, health_routes
from tests.app.support import client, small_app


async def fine() -> str | None:
    return None


async def behind() -> str | None:
    return "The database is 2 migrations behind: run voxforge migrate"


async def broken() -> str | None:
    raise ConnectionError("postgresql://voxforge:hunter2@db refused")


async def hangs() -> str | None:
    await asyncio.Event().wait()
    return None


async def hangs_and_clings() -> str | None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(2)
    return None


async def get(path: str, **checks: Check) -> tuple[int, object]:
    async with client(small_app(health_routes(checks, timeout_s=0.05))) as http:
        response = await http.get(path)
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()


async def test_the_process_is_up_whatever_else_is_not() -> None:
    assert await get("/healthz", database=broken) == (200, {"status": "ok"})


async def test_ready() -> None:
    assert await get("/readyz", database=fine, queue=fine) == (
        200,
        {"status": "ok", "checks": {"database": "ok", "queue": "ok"}},
    )


async def test_what_is_wrong_is_said_in_sentences_without_secrets() -> None:
    with capture_logs() as logs:
        answer = await get("/readyz", database=broken, queue=fine, migrations=behind)

    assert answer == (
        503,
        {
            "status": "unavailable",
            "checks": {
                "database": "The check failed; the log says why",
                "queue": "ok",
                "migrations": "The database is 2 migrations behind: run voxforge migrate",
            },
        },
    )
    assert [(line["event"], line["check"], type(line["exc_info"])) for line in logs] == [
        ("check failed", "database", ConnectionError)
    ]


async def test_checks_that_hang_are_not_waited_for_one_after_another() -> None:
    hanging = {f"check{number}": hangs if number else hangs_and_clings for number in range(20)}

    async with asyncio.timeout(0.9):  # one after another they would take a second
        status, answer = await get("/readyz", migrations=fine, **hanging)

    no_answer = "No answer within 0.05 seconds"
    assert status == 503
    assert answer == {
        "status": "unavailable",
        "checks": {"migrations": "ok", **dict.fromkeys(hanging, no_answer)},
    }


async def test_without_checks_it_is_ready() -> None:
    assert await get("/readyz") == (200, {"status": "ok", "checks": {}})
