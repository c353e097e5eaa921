"""What answers over a connection: the database, Redis, the model, and a server that may be running."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
from sqlalchemy import func, select

from app.backlog import backlogs
from app.doctor import machine
from app.doctor.findings import Finding, fine, note, problem
from app.failure import MIGRATE_FIRST, database_sentence
from schema import migrations
from schema.database import DATABASE_ERRORS, open_database
from schema.due import Backlog
from schema.runtime import Runtime
from schema.settings import Settings

TIMEOUT_S = 3.0
LONG_S = 60.0


async def database(settings: Settings) -> list[Finding]:
    """Reachable, migrated, and how much work waits in it."""
    if settings.dialect == "sqlite" and not settings.sqlite_path.exists():
        return [problem("database", f"There is no database at {settings.sqlite_path.resolve()}", MIGRATE_FIRST)]
    shown = "SQLite" if settings.dialect == "sqlite" else "PostgreSQL"
    try:
        async with asyncio.timeout(TIMEOUT_S * 2):
            revision = await migrations.current(settings)
            findings = [fine("database", f"{shown} answers"), *await _clock(settings)]
            findings.append(_revision(revision))
            if revision == migrations.head():
                findings += await _queues(settings)
    except DATABASE_ERRORS as error:
        said = f"No answer within {TIMEOUT_S * 2:g} s" if isinstance(error, TimeoutError) else database_sentence(error)
        return [problem("database", said, "Start it, or correct VOXFORGE_DATABASE_URL")]
    return findings


def _revision(revision: str | None) -> Finding:
    head = migrations.head()
    if revision == head:
        return fine("migrations", f"Up to date ({head})")
    said = f"The database is at revision {revision}" if revision else "The database is empty"
    return problem("migrations", f"{said}, this version wants {head}", MIGRATE_FIRST)


async def _clock(settings: Settings) -> list[Finding]:
    if settings.dialect == "sqlite":
        return []  # it has no clock of its own
    other = open_database(settings)
    try:
        async with other.engine.connect() as connection:
            theirs = (await connection.execute(select(func.now()))).scalar_one()
    finally:
        await other.close()
    found = machine.clock_against("PostgreSQL", datetime.now(UTC), theirs)
    return [found] if found else []


async def _queues(settings: Settings) -> list[Finding]:
    runtime = Runtime.open(settings)
    try:
        return [_queue(table, found) for table, found in (await backlogs(runtime)).items()]
    finally:
        await runtime.close()


def _queue(table: str, found: Backlog) -> Finding:
    if found.due == 0:
        return fine("queue", f"{table}: none due")
    says = f"{table}: {found.due} due, the oldest for {found.oldest_s:.0f} s"
    if found.oldest_s < LONG_S:
        return fine("queue", says)
    return note("queue", says, "Nothing works on them: start voxforge up or voxforge work")


async def redis(settings: Settings) -> list[Finding]:
    if settings.redis_url is None:
        return [fine("redis", "Not configured: everything is in one process")]
    from redis import asyncio as client  # noqa: PLC0415 (only where it is configured)
    from redis.exceptions import RedisError  # noqa: PLC0415

    connection = client.Redis.from_url(
        settings.redis_url.get_secret_value(), socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            seconds, microseconds = await connection.time()
    except (RedisError, OSError, ValueError) as error:
        said = "No answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}"
        return [problem("redis", f"Redis cannot be reached: {said}", "Start it, or correct VOXFORGE_REDIS_URL")]
    finally:
        await connection.aclose()
    theirs = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    found = machine.clock_against("Redis", datetime.now(UTC), theirs)
    return [fine("redis", "Redis answers"), *([found] if found else [])]


async def llm(settings: Settings) -> Finding:
    """Whether the model's server answers and takes the key, which is shown nowhere."""
    if settings.llm_url is None:
        return fine("llm", "Not configured: agents follow their script")
    if settings.llm_model is None:
        return problem("llm", "VOXFORGE_LLM_URL is set, VOXFORGE_LLM_MODEL is not", "Name the model to use")
    headers = {"Authorization": f"Bearer {settings.llm_api_key.get_secret_value()}"} if settings.llm_api_key else {}
    try:
        async with asyncio.timeout(TIMEOUT_S), httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.get(f"{settings.llm_url}/models", headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        said = f"No answer within {TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else type(error).__name__
        return problem("llm", f"The model's server cannot be reached: {said}", "Start it, or correct VOXFORGE_LLM_URL")
    if answer.status_code in (401, 403):
        return problem("llm", f"The model's server refuses the key ({answer.status_code})", "Set VOXFORGE_LLM_API_KEY")
    if not answer.is_success:
        return note("llm", f"The model's server answers, but {answer.status_code} for its list of models")
    if settings.llm_model not in answer.text:
        return note("llm", f"The model's server answers, but does not list {settings.llm_model}")
    return fine("llm", f"The model's server answers and has {settings.llm_model}")


async def server(settings: Settings) -> Finding:
    """Whether one is running here, and ready. None running is no problem."""
    address = settings.model_copy(update={"public_url": ""}).public_base
    try:
        async with asyncio.timeout(TIMEOUT_S), httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(f"{address}/readyz")
    except (httpx.HTTPError, OSError):
        return note("server", f"No server runs at {address}", "Start it: voxforge up")
    if answer.status_code == 200:
        return fine("server", f"Ready at {address}")
    return problem("server", f"The server at {address} is not ready: {answer.text[:500]}", "See its log")
