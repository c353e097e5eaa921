"""Whether the process is up (`/healthz`) and whether it can do its work (`/readyz`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.responses import JSONResponse

log = structlog.get_logger("voxforge.health")

Check = Callable[[], Awaitable[str | None]]
"""None when all is well, else a sentence for anybody to read: no secrets, no paths."""


def health_routes(checks: Mapping[str, Check], timeout_s: float = 2.0) -> list[Route]:
    """The two routes; `checks` (database, queue, migrations, …) run together, each for at most `timeout_s`."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        found = await run_checks(checks, timeout_s)
        ready = all(result == "ok" for result in found.values())
        body = {"status": "ok" if ready else "unavailable", "checks": found}
        return JSONResponse(body, status_code=200 if ready else 503, headers={"Cache-Control": "no-store"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def run_checks(checks: Mapping[str, Check], timeout_s: float = 2.0) -> dict[str, str]:
    """By name, `ok` or what is wrong. What a check raises is in the log only."""
    tasks = {name: asyncio.ensure_future(check()) for name, check in checks.items()}
    if tasks:
        await asyncio.wait(tasks.values(), timeout=timeout_s)
    return {name: _result(name, task, timeout_s) for name, task in tasks.items()}


def _result(name: str, task: asyncio.Future[str | None], timeout_s: float) -> str:
    if not task.done():
        task.cancel()
        return f"No answer within {timeout_s:g} seconds"
    if task.cancelled():
        return "The check was stopped"
    error = task.exception()
    if error is not None:
        log.warning("check failed", check=name, exc_info=error)
        return "The check failed; the log says why"
    return task.result() or "ok"
