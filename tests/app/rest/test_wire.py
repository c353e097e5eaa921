"""REST's spelling of answers: enums by type, and nothing else (decision R8)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from hypothesis import given
from hypothesis import strategies as st

from app.rest.wire import Write, from_wire, identity, to_wire, writer

SCHEMA = build_schema(
    """
    enum Status { QUEUED IN_PROGRESS COMPLETED }
    enum Mood { VERY_GOOD BAD }
    scalar JSON
    interface Node { id: ID! status: Status }
    type Call implements Node {
      id: ID!
      status: Status
      mood: Mood!
      history: [Status!]!
      matrix: [[Status]]
      title: String
      parent: Call
      children: [Call]
      tools: JSON
    }
    type Agent implements Node { id: ID! status: Status name: String manager: Agent }
    union Thing = Call | Agent
    type Query {
      call: Call
      calls: [Call!]!
      status: Status
      statuses: [Status]
      nodes: [Node]
      things: [Thing]
      count: Int
    }
    """
)


def compiled(source: str, schema: GraphQLSchema = SCHEMA) -> tuple[str, Write]:
    """The response key and the writer of the operation's root field."""
    document = parse(source)
    assert validate(schema, document) == []
    (operation,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    (field,) = operation.selection_set.selections
    assert isinstance(field, FieldNode)
    assert schema.query_type is not None
    type = schema.query_type.fields[field.name.value].type
    return (field.alias or field.name).value, writer(schema, type, field.selection_set, fragments)


def answer(source: str, root: dict[str, Any]) -> Any:
    key, write = compiled(source)
    result = execute_sync(SCHEMA, parse(source), root)
    assert result.errors is None
    assert result.data is not None
    return write(result.data[key])


def test_the_spelling() -> None:
    assert to_wire("IN_PROGRESS") == "in-progress"
    assert to_wire("QUEUED") == "queued"
    assert from_wire("in-progress") == "IN_PROGRESS"


@pytest.mark.parametrize("text", ["IN_PROGRESS", "in_progress", "In-Progress", "IN-PROGRESS"])
def test_there_is_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="lower case with hyphens"):
        from_wire(text)


@given(st.from_regex(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", fullmatch=True))
def test_every_name_is_read_back(name: str) -> None:
    assert from_wire(to_wire(name)) == name
    assert "_" not in to_wire(name)


def test_only_what_the_types_call_an_enum_changes() -> None:
    call = {
        "id": "IN_PROGRESS",
        "status": "IN_PROGRESS",
        "mood": "VERY_GOOD",
        "title": "IN_PROGRESS",
        "tools": {"status": "IN_PROGRESS", "mood": ["VERY_GOOD"]},
    }

    written = answer("{ call { id status mood title tools } }", {"call": call})

    assert written == {
        "id": "IN_PROGRESS",
        "status": "in-progress",
        "mood": "very-good",
        "title": "IN_PROGRESS",
        "tools": {"status": "IN_PROGRESS", "mood": ["VERY_GOOD"]},
    }


def test_lists_and_nulls() -> None:
    call = {
        "status": None,
        "mood": "BAD",
        "history": ["QUEUED", "IN_PROGRESS"],
        "matrix": [["QUEUED", None], None, []],
        "parent": None,
        "children": [{"status": "COMPLETED"}, None],
    }

    written = answer("{ call { status mood history matrix parent { status } children { status } } }", {"call": call})

    assert written == {
        "status": None,
        "mood": "bad",
        "history": ["queued", "in-progress"],
        "matrix": [["queued", None], None, []],
        "parent": None,
        "children": [{"status": "completed"}, None],
    }


def test_aliases_decide_the_key() -> None:
    call = {"status": "QUEUED", "mood": "BAD", "title": "QUEUED"}

    written = answer("{ result: call { state: status status: title mood: status title: mood } }", {"call": call})

    assert written == {"state": "queued", "status": "QUEUED", "mood": "queued", "title": "bad"}


def test_fragments_and_inline_fragments() -> None:
    source = """
      { call { ...Summary ... { mood } ... on Node { id } ... on Call { parent { ...Deep } } } }
      fragment Summary on Call { status parent { status } }
      fragment Deep on Call { ...Mood }
      fragment Mood on Call { mood }
    """
    call = {"id": "c1", "status": "QUEUED", "mood": "BAD", "parent": {"status": "COMPLETED", "mood": "VERY_GOOD"}}

    assert answer(source, {"call": call}) == {
        "id": "c1",
        "status": "queued",
        "mood": "bad",
        "parent": {"status": "completed", "mood": "very-good"},
    }


def test_interfaces_and_unions() -> None:
    call = {"__typename": "Call", "status": "QUEUED", "mood": "BAD", "parent": {"mood": "VERY_GOOD"}}
    agent = {"__typename": "Agent", "status": "IN_PROGRESS", "name": "BAD", "manager": {"status": "QUEUED"}}

    nodes = answer("{ nodes { __typename status ... on Call { mood } } }", {"nodes": [call, agent, None]})
    on_call = "... on Call { mood above: parent { mood } }"
    on_agent = "... on Agent { name above: manager { status } }"
    things = answer(f"{{ things {{ __typename {on_call} {on_agent} }} }}", {"things": [call, agent]})

    assert nodes == [
        {"__typename": "Call", "status": "queued", "mood": "bad"},
        {"__typename": "Agent", "status": "in-progress"},
        None,
    ]
    assert things == [
        {"__typename": "Call", "mood": "bad", "above": {"mood": "very-good"}},
        {"__typename": "Agent", "name": "BAD", "above": {"status": "queued"}},
    ]


def test_skipped_fields_are_not_missed() -> None:
    written = answer("{ call { mood status @skip(if: true) } }", {"call": {"mood": "BAD", "status": "QUEUED"}})

    assert written == {"mood": "bad"}


def test_a_root_that_is_an_enum_or_null() -> None:
    assert answer("{ status }", {"status": "IN_PROGRESS"}) == "in-progress"
    assert answer("{ status }", {"status": None}) is None
    assert answer("{ statuses }", {"statuses": ["QUEUED", None]}) == ["queued", None]
    assert answer("{ call { status } }", {"call": None}) is None


@pytest.mark.parametrize("source", ["{ count }", "{ call { id title tools parent { id } __typename } }"])
def test_without_an_enum_there_is_nothing_to_do(source: str) -> None:
    _, write = compiled(source)

    assert write is identity


def test_the_data_is_written_where_it_is() -> None:
    _, write = compiled("{ calls { status } }")
    row = {"status": "QUEUED"}

    assert write([row])[0] is row
    assert row == {"status": "queued"}


calls = st.deferred(
    lambda: st.fixed_dictionaries(
        {
            "id": st.text(),
            "status": st.none() | st.sampled_from(["QUEUED", "IN_PROGRESS", "COMPLETED"]),
            "mood": st.sampled_from(["VERY_GOOD", "BAD"]),
            "history": st.lists(st.sampled_from(["QUEUED", "IN_PROGRESS"]), max_size=3),
            "title": st.none() | st.sampled_from(["IN_PROGRESS", "bad"]),
            "parent": st.none() | calls,
        }
    )
)


def undo(written: Any) -> Any:
    """The data that was written, told field by field and without the compiler."""
    if written is None:
        return None
    back = copy.copy(written)
    back["status"] = back["status"] and from_wire(back["status"])
    back["mood"] = from_wire(back["mood"])
    back["history"] = [from_wire(status) for status in back["history"]]
    if "parent" in back:
        back["parent"] = undo(back["parent"])
    return back


@given(calls)
def test_what_is_written_can_be_read_back(call: dict[str, Any]) -> None:
    source = """
      { call { ...F parent { ...F parent { ...F } } } }
      fragment F on Call { id status mood history title }
    """
    expected = execute_sync(SCHEMA, parse(source), {"call": call})
    assert expected.data is not None

    assert undo(answer(source, {"call": call})) == expected.data["call"]
