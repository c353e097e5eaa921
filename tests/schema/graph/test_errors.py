"""Errors on their way out: the caller's mistakes keep their sentence, ours are masked and logged (decisions E2, E4)."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from graphql import GraphQLError

from schema.errors import (
    DomainError,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from schema.graph.errors import present
from schema.runtime import Runtime, Viewer
from schema.services import agents
from tests.schema.graph.conftest import Ask

MASKED = {
    "message": "Something went wrong on our end (request req-1)",
    "extensions": {"code": "INTERNAL_ERROR"},
}


def raised(error: Exception, **place: Any) -> GraphQLError:
    return GraphQLError(str(error), original_error=error, path=["agents"], **place)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("name is required"), "BAD_REQUEST"),
        (Unauthenticated("Missing or invalid API key"), "UNAUTHORIZED"),
        (Forbidden("This API key lacks permission to read calls"), "FORBIDDEN"),
        (NotFound("Agent with id c1 not found"), "NOT_FOUND"),
        (LimitReached("The Starter plan allows 3 agents"), "LIMIT_REACHED"),
        (DomainError("no"), "BAD_REQUEST"),
    ],
)
def test_what_the_caller_did_wrong_keeps_its_sentence(error: DomainError, code: str) -> None:
    with structlog.testing.capture_logs() as logs:
        shown = present(raised(error), "req-1")

    assert shown.formatted == {"message": error.message, "path": ["agents"], "extensions": {"code": code}}
    assert shown.original_error is None
    assert logs == []


def test_too_many_requests_say_when_to_come_back() -> None:
    shown = present(raised(RateLimited("Too many requests", retry_after_s=7)), "req-1")

    assert shown.extensions == {"code": "RATE_LIMITED", "retryAfter": 7}


def test_an_error_within_errors_is_found() -> None:
    inner = GraphQLError("wrapped", original_error=NotFound("Agent with id c1 not found"))

    assert present(GraphQLError("twice", original_error=inner, path=["agent"]), "req-1").message == (
        "Agent with id c1 not found"
    )


@pytest.mark.parametrize(
    "error",
    [
        KeyError("password=hunter2"),
        RuntimeError("SELECT * FROM agents"),
        ValueError("agents.workspace_id"),
        TypeError("Cannot return null"),
    ],
)
def test_what_we_did_wrong_is_masked_and_logged(error: Exception) -> None:
    """E4: no SQL, no class names, no paths; the request's id leads to the log."""
    with structlog.testing.capture_logs() as logs:
        shown = present(raised(error), "req-1")

    assert shown.formatted == {**MASKED, "path": ["agents"]}
    assert [(line["log_level"], line["event"], line["exc_info"]) for line in logs] == [
        ("error", "resolver failed", error)
    ]


async def test_a_crash_in_a_resolver_is_masked(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(agents, "list_page", crash)
    with structlog.testing.capture_logs() as logs:
        answer = await ask("{ agents { total } }")

    (error,) = answer["errors"]
    assert {name: error[name] for name in MASKED} == MASKED
    assert "hunter2" not in str(answer)
    assert len(logs) == 1


async def test_domain_errors_reach_the_caller_through_the_graph(ask: Ask) -> None:
    answer = await ask('{ agent(id: "c1") { id } }')

    assert answer["data"] == {"agent": None}
    (error,) = answer["errors"]
    assert (error["message"], error["extensions"]) == ("Agent with id c1 not found", {"code": "NOT_FOUND"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ agents { ", "Syntax Error: Expected Name, found <EOF>."),
        ("{ moods }", "Cannot query field 'moods' on type 'Query'."),
        ('{ agents(limit: "ten") { total } }', 'Int cannot represent non-integer value: "ten"'),
    ],
)
async def test_a_document_that_does_not_fit_is_a_bad_request(ask: Ask, text: str, message: str) -> None:
    answer = await ask(text)

    (error,) = answer["errors"]
    assert (error["message"], error["extensions"]) == (message, {"code": "BAD_REQUEST"})


async def test_a_failed_mutation_is_rolled_back(ask: Ask, runtime: Runtime, viewer: Viewer) -> None:
    """Root fields are transactions of their own: the first one stays, the second one is undone."""
    answer = await ask(
        'mutation { a: createAgent(input: {name: "Sam", systemPrompt: "x"}) { name }'
        ' b: createAgent(input: {name: "Kim", systemPrompt: "x", maxCallDuration: 1}) { name } }'
    )

    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["message"] == "maxCallDuration must be between 10 and 14400 seconds"
    assert [row.name for row in (await agents.list_page(runtime.snapshot(viewer))).nodes] == ["Sam"]
