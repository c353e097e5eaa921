"""Which of a database's errors may pass: the rest would be raised again for ever."""

from __future__ import annotations

import sqlite3
from typing import Any

import asyncpg
import pytest
from sqlalchemy import exc, text

from schema.database import DATABASE_ERRORS, may_pass
from schema.runtime import Runtime
from schema.tables import Workspace
from tests.support import seeds
from tests.support.runtime import on_both


async def raised(runtime: Runtime, sql: str, values: dict[str, Any] | None = None) -> Exception:
    with pytest.raises(DATABASE_ERRORS) as error:
        async with runtime.transaction(None) as tx:
            await tx.execute(text(sql), values)
    return error.value


@on_both
@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("INSERT INTO workspaces SELECT * FROM workspaces", {}),
        ("INSERT INTO dialers (id, workspace_id, version) VALUES ('x', 'nobody', 0)", {}),
        ("UPDATE workspaces SET name = NULL", {}),
        ("UPDATE workspaces SET name = :name", {"name": object()}),
    ],
)
async def test_what_is_wrong_with_a_statement_or_its_values_does_not_pass(
    runtime: Runtime, sql: str, values: dict[str, Any]
) -> None:
    await seeds.workspace(runtime)

    assert not may_pass(await raised(runtime, sql, values))


@pytest.mark.parametrize("database", ["postgresql"])
@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("UPDATE workspaces SET name = repeat('x', 1000)", {}),
        ("SELECT 1 / 0", {}),
        ("SELECT * FROM nowhere", {}),
        ("UPDATE dialers SET version = :version", {"version": 2**40}),
        ("SELECT CAST(:text AS text)", {"text": "\0"}),
    ],
)
async def test_nor_does_what_postgresql_refuses(runtime: Runtime, sql: str, values: dict[str, Any]) -> None:
    await seeds.workspace(runtime)

    assert not may_pass(await raised(runtime, sql, values))


async def test_nor_does_a_value_of_the_wrong_kind(runtime: Runtime) -> None:
    with pytest.raises(exc.StatementError) as error:
        async with runtime.transaction(None) as tx:
            tx.add(Workspace(id="x", name="Acme", plan="starter", created_at="yesterday"))

    assert not may_pass(error.value)


@pytest.mark.parametrize("database", ["postgresql"])
async def test_a_connection_that_is_cut_may_pass(runtime: Runtime) -> None:
    assert may_pass(await raised(runtime, "SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.parametrize("database", ["postgresql"])
async def test_a_statement_that_is_cancelled_may_pass(runtime: Runtime) -> None:
    assert may_pass(await raised(runtime, "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)"))


@pytest.mark.parametrize(
    "error",
    [
        exc.OperationalError("", {}, sqlite3.OperationalError("database is locked")),
        exc.OperationalError("", {}, sqlite3.OperationalError("database or disk is full")),
        exc.TimeoutError(),
        exc.InterfaceError("", {}, Exception("connection is closed")),
        sqlite3.OperationalError("disk I/O error"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.InterfaceError("the underlying connection is closed"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=repr,
)
def test_a_database_that_is_away_full_or_busy_may_pass(error: Exception) -> None:
    assert isinstance(error, DATABASE_ERRORS)
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("duplicate key"),
        asyncpg.UndefinedColumnError("no such column"),
        asyncpg.DataError("invalid input for query argument"),
        sqlite3.IntegrityError("UNIQUE constraint failed"),
        sqlite3.ProgrammingError("You did not supply a value"),
        exc.InvalidRequestError("This Session's transaction has been rolled back"),
        exc.NoResultFound(),
    ],
    ids=repr,
)
def test_what_readers_are_refused_does_not_pass(error: Exception) -> None:
    assert isinstance(error, DATABASE_ERRORS)
    assert not may_pass(error)
