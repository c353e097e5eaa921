"""What is found of that which answers over a connection."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.doctor import services
from app.doctor.findings import Finding, Level
from schema.runtime import Runtime
from schema.services import calls, seed
from schema.services.keys import authenticate
from schema.settings import Settings
from tests.app.support import serving
from tests.support.runtime import on_both, settings_for

CLOSED = "127.0.0.1:9"


def is_there(path: Path) -> bool:
    return path.exists()


def by_part(findings: list[Finding]) -> dict[str, Level]:
    return {found.part: found.level for found in findings}


@on_both
async def test_a_database_that_is_well(settings: Settings) -> None:
    found = await services.database(settings)

    assert by_part(found) == {"database": Level.OK, "migrations": Level.OK, "queue": Level.OK}


async def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    (found,) = await services.database(settings_for(tmp_path))

    assert (found.part, found.level) == ("database", Level.PROBLEM)
    assert found.remedy == "Run voxforge up or voxforge migrate first"
    assert not is_there(tmp_path / "voxforge.db")


async def test_a_database_that_is_empty(tmp_path: Path) -> None:
    (tmp_path / "voxforge.db").touch()

    found = await services.database(settings_for(tmp_path))

    assert by_part(found) == {"database": Level.OK, "migrations": Level.PROBLEM}
    assert found[-1].says.startswith("The database is empty, this version wants ")


async def test_a_database_that_is_away(tmp_path: Path) -> None:
    url = f"postgresql://ada:hunter2@{CLOSED}/voxforge"

    (found,) = await services.database(settings_for(tmp_path, database_url=url))

    assert (found.part, found.level) == ("database", Level.PROBLEM)
    assert "hunter2" not in found.says + found.remedy


@on_both
async def test_work_that_waits(runtime: Runtime, settings: Settings) -> None:
    planted = await seed.plant(runtime)
    assert planted is not None
    given = {"agent_id": planted.agent_id, "phone_number_id": planted.phone_number_id, "to": planted.callee}
    async with runtime.transaction(await authenticate(runtime, planted.api_key)) as tx:
        await calls.place(tx, given)  # in January 2025, by the clock of the test

    queues = [found for found in await services.database(settings) if found.part == "queue"]

    assert [found.level for found in queues] == [Level.NOTE, Level.OK, Level.OK]  # calls, dialers and deliveries
    assert queues[0].says.startswith("calls: 1 due, the oldest for ")
    assert queues[0].remedy == "Nothing works on them: start voxforge up or voxforge work"


async def test_no_redis_is_fine(tmp_path: Path) -> None:
    assert by_part(await services.redis(settings_for(tmp_path))) == {"redis": Level.OK}


async def test_a_redis_that_answers(tmp_path: Path, redis_url: str) -> None:
    (found,) = await services.redis(settings_for(tmp_path, redis_url=redis_url))

    assert found.level is Level.OK


async def test_a_redis_that_is_away(tmp_path: Path) -> None:
    (found,) = await services.redis(settings_for(tmp_path, redis_url=f"redis://:hunter2@{CLOSED}/0"))

    assert found.level is Level.PROBLEM
    assert "hunter2" not in found.says + found.remedy


@asynccontextmanager
async def a_model(status: int, *models: str) -> AsyncIterator[tuple[str, list[str | None]]]:
    """A model's server; yields its address and the keys it was shown."""
    keys: list[str | None] = []

    async def answer(request: Request) -> Response:
        keys.append(request.headers.get("authorization"))
        return JSONResponse({"data": [{"id": model} for model in models]}, status)

    async with serving(Starlette(routes=[Route("/v1/models", answer)])) as port:
        yield f"http://127.0.0.1:{port}/v1", keys


async def test_no_model_is_fine(tmp_path: Path) -> None:
    assert (await services.llm(settings_for(tmp_path))).level is Level.OK


@pytest.mark.parametrize(
    ("status", "model", "level"),
    [
        (200, "llama-3", Level.OK),
        (200, "gpt-9", Level.NOTE),
        (404, "llama-3", Level.NOTE),
        (401, "llama-3", Level.PROBLEM),
        (403, "llama-3", Level.PROBLEM),
    ],
)
async def test_a_model_that_answers(tmp_path: Path, status: int, model: str, level: Level) -> None:
    async with a_model(status, "llama-3") as (url, keys):
        found = await services.llm(settings_for(tmp_path, llm_url=url, llm_model=model, llm_api_key="hunter2"))

    assert found.level is level
    assert keys == ["Bearer hunter2"]
    assert "hunter2" not in found.says + found.remedy


async def test_a_model_without_a_name(tmp_path: Path) -> None:
    found = await services.llm(settings_for(tmp_path, llm_url=f"http://{CLOSED}/v1"))

    assert found.level is Level.PROBLEM
    assert "VOXFORGE_LLM_MODEL" in found.says


async def test_a_model_that_is_away(tmp_path: Path) -> None:
    found = await services.llm(settings_for(tmp_path, llm_url=f"http://{CLOSED}/v1", llm_model="llama-3"))

    assert found.level is Level.PROBLEM


async def test_a_model_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}/v1"
        found = await services.llm(settings_for(tmp_path, llm_url=url, llm_model="llama-3"))

    assert found.says == "The model's server cannot be reached: No answer within 0.1 s"


async def test_no_server_is_no_problem(tmp_path: Path) -> None:
    found = await services.server(settings_for(tmp_path, port=9))

    assert (found.level, found.remedy) == (Level.NOTE, "Start it: voxforge up")


@pytest.mark.parametrize(("status", "level"), [(200, Level.OK), (503, Level.PROBLEM)])
async def test_a_server_that_runs(tmp_path: Path, status: int, level: Level) -> None:
    async def readyz(_request: Request) -> Response:
        return JSONResponse({"checks": {"database": "away"}}, status)

    async with serving(Starlette(routes=[Route("/readyz", readyz)])) as port:
        found = await services.server(settings_for(tmp_path, port=port, public_url="https://voice.example.com"))

    assert found.level is level
