"""Operations known at the start: what fits the schema runs, what does not stops the start."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLNonNull

from schema.graph.context import Context
from schema.graph.execution import Operation, OperationError, compile_operations
from schema.graph.root import schema
from schema.runtime import Runtime, Viewer
from schema.services import agents, calls
from tests.support import seeds

TWO = """
fragment Short on Agent { id name }
query ListAgents($limit: Int = 2, $offset: Int) { found: agents(limit: $limit, offset: $offset) { nodes { ...Short } } }
mutation RenameAgent($id: ID!, $input: UpdateAgentInput!) { updateAgent(id: $id, input: $input) { ...Short } }
"""


def compiled(text: str, name: str) -> Operation:
    return compile_operations(schema, text)[name]


def test_what_is_known_of_an_operation() -> None:
    listing, renaming = compiled(TWO, "ListAgents"), compiled(TWO, "RenameAgent")

    assert (listing.name, listing.is_mutation, renaming.is_mutation) == ("ListAgents", False, True)
    assert [(each.name, str(each.type), each.required, each.default) for each in listing.variables.values()] == [
        ("limit", "Int", False, 2),
        ("offset", "Int", False, None),
    ]
    assert [(each.name, str(each.type), each.required) for each in renaming.variables.values()] == [
        ("id", "ID!", True),
        ("input", "UpdateAgentInput!", True),
    ]
    assert (listing.root.key, str(listing.root.type), listing.root.selection is None) == ("found", "AgentPage!", False)
    assert list(listing.fragments) == ["Short"]


def test_a_default_makes_a_variable_optional() -> None:
    operation = compiled(
        "query L($status: CallStatus! = QUEUED) { calls(status: $status) { total } }",
        "L",
    )

    status = operation.variables["status"]
    assert isinstance(status.type, GraphQLNonNull)
    assert isinstance(status.type.of_type, GraphQLEnumType)
    assert (status.required, status.default) == (False, "QUEUED")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query L {", "Syntax Error: Expected Name, found <EOF>."),
        ("query L { moods }", "Cannot query field 'moods' on type 'Query'."),
        ("query L($limit: String) { agents(limit: $limit) { total } }", "Variable '$limit' of type 'String'"),
        ("query L($limit: Int) { agents { total } }", "Variable '$limit' is never used"),
        ("query L { agents { total } } query L { calls { total } }", "There can be only one operation named 'L'."),
        ("{ agents { total } }", "every operation needs a name"),
        ("query L { agents { total } calls { total } }", "operation L must select one root field"),
        ("query L { ...A } fragment A on Query { agents { total } }", "operation L must select one root field"),
        ("query L { ... on Query { agents { total } } }", "operation L must select one root field"),
        ("query L { __typename }", "operation L must select a root field of the schema"),
        ("query L($x: Boolean!) { agents @skip(if: $x) { total } }", "operation L must select a root field"),
        ("fragment A on Agent { id }", "Fragment 'A' is never used."),
    ],
)
def test_a_document_that_does_not_fit_stops_the_start(text: str, message: str) -> None:
    with pytest.raises(OperationError) as refusal:
        compile_operations(schema, text)

    assert message in str(refusal.value)


async def test_an_operation_runs_with_its_variables(runtime: Runtime, viewer: Viewer) -> None:
    rows = [await seeds.agent(runtime, viewer, name=name) for name in ("A", "B", "C")]
    operation = compiled(TWO, "ListAgents")

    default = await operation.run({}, Context(runtime, viewer))
    second = await operation.run({"limit": 1, "offset": 1}, Context(runtime, viewer))

    assert default == ({"nodes": [{"id": row.id, "name": row.name} for row in (rows[2], rows[1])]}, [])
    assert second == ({"nodes": [{"id": rows[1].id, "name": "B"}]}, [])


async def test_errors_are_presented_and_leave_no_value(runtime: Runtime, viewer: Viewer) -> None:
    operation = compiled(TWO, "RenameAgent")

    value, errors = await operation.run({"id": "c1", "input": {"name": "X"}}, Context(runtime, viewer, "req-1"))

    assert value is None
    assert [(error.message, error.extensions) for error in errors] == [
        ("Agent with id c1 not found", {"code": "NOT_FOUND"})
    ]


async def test_nobody_is_refused(runtime: Runtime) -> None:
    value, errors = await compiled(TWO, "ListAgents").run({}, Context(runtime, None))

    assert value is None
    assert [error.extensions for error in errors] == [{"code": "UNAUTHORIZED"}]


async def test_a_value_that_does_not_fit_its_type_is_ours_to_explain(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E4: GraphQL's own words for a broken row would be a leak, and a 400."""
    row = await seeds.call(runtime, viewer)

    async def broken(*_: object) -> Any:
        copy = row.model_copy()
        object.__setattr__(copy, "to_number", None)
        return copy

    monkeypatch.setattr(calls, "get", broken)
    operation = compiled("query G($id: ID!) { call(id: $id) { id to } }", "G")

    value, errors = await operation.run({"id": row.id}, Context(runtime, viewer, "req-1"))

    assert value is None
    assert [(error.message, error.extensions) for error in errors] == [
        ("Something went wrong on our end (request req-1)", {"code": "INTERNAL_ERROR"})
    ]


async def test_variables_are_read_as_json(runtime: Runtime, viewer: Viewer) -> None:
    """Enums by their GraphQL names, instants as text: what the REST face hands over."""
    await seeds.call(runtime, viewer)
    operation = compiled(
        "query L($status: CallStatus, $from: DateOrDateTime) { calls(status: $status, from: $from) { total } }", "L"
    )

    queued = await operation.run({"status": "QUEUED", "from": "2025-01-15"}, Context(runtime, viewer))
    later = await operation.run({"from": "2025-01-16"}, Context(runtime, viewer))

    assert (queued, later) == (({"total": 1}, []), ({"total": 0}, []))


async def test_a_mutation_commits(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.agent(runtime, viewer)

    value, errors = await compiled(TWO, "RenameAgent").run(
        {"id": row.id, "input": {"name": "Kim"}}, Context(runtime, viewer)
    )

    assert (value, errors) == ({"id": row.id, "name": "Kim"}, [])
    assert (await agents.get(runtime.snapshot(viewer), row.id)).name == "Kim"
