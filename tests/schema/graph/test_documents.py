"""What callers may ask at once, and that asking costs little before it is refused."""

from __future__ import annotations

import time

import pytest
from graphql import get_introspection_query

from schema.graph import documents
from schema.graph.documents import MAX_ALIASES, MAX_CHARACTERS, Prepared
from schema.graph.root import graphql_schema, schema
from tests.schema.graph.conftest import Ask

NESTED = "{ appointments { nodes { call { campaign { agent { id } } } } } }"


def prepare(text: str) -> Prepared:
    return documents.prepare(graphql_schema(), text)


def chain(length: int, link: str, end: str) -> str:
    """`{ ...f0 }` and fragments that each lead to the next."""
    fragments = [f"fragment f{i} on Query {{ {link.format(i + 1)} }}" for i in range(length)]
    return " ".join(["{ ...f0 }", *fragments, f"fragment f{length} on Query {{ {end} }}"])


def aliases(many: int) -> str:
    return " ".join(f"a{i}: agents {{ total }}" for i in range(many))


TWICE = "...f{0} ...f{0}"
TOO_MANY_TOKENS = "Syntax Error: Document contains more than 500 tokens. Parsing aborted."
TOO_DEEP = "Syntax Error: Document is nested too deeply. Parsing aborted."
CIRCLE = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"


@pytest.mark.parametrize(
    "text",
    [
        get_introspection_query(
            descriptions=True,
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        ),
        NESTED,
        f"{{ {aliases(MAX_ALIASES)} }}",
        chain(40, TWICE, "__typename"),
        "{ agents { nodes { " + "id " * 490 + "} } }",
    ],
    ids=["introspection", "nested", "aliases", "fragments", "tokens"],
)
def test_what_may_be_asked(text: str) -> None:
    assert prepare(text).errors == ()


DEEPER = "{ appointments { nodes { call { campaign { agent { id { id { id { id { id { id } } } } } } } } } } }"
DEEPER_IN_FRAGMENTS = """{ appointments { nodes { ...A } } } fragment A on Appointment { call { ...B } }
fragment B on Call { campaign { agent { id { id { id { id { id { id } } } } } } } }"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEPER, "The query is nested deeper than 10 levels"),
        (DEEPER_IN_FRAGMENTS, "The query is nested deeper than 10 levels"),
        (f"{{ {aliases(MAX_ALIASES + 1)} }}", "The query has more than 15 aliases"),
        (f"query A {{ {aliases(8)} }} query B {{ {aliases(8)} }}", "The query has more than 15 aliases"),
        (chain(40, TWICE, "a: __typename"), "The query has more than 15 aliases"),
        (
            "{ agents { nodes { " + "id " * 500 + "} } }",
            "Syntax Error: Document contains more than 500 tokens. Parsing aborted.",
        ),
        ("{ agents { total } }" + " " * MAX_CHARACTERS, "The query is longer than 20,000 characters"),
        ("{ " + "a { " * 240 + "id " + "} " * 241, TOO_DEEP),
        (
            "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }",
            "Maximum introspection depth exceeded",
        ),
        ("{ ...Nowhere }", "Unknown fragment 'Nowhere'."),
        (CIRCLE, "Cannot spread fragment 'A' within itself via 'B'."),
        ('{ agent(id: "a\\u0000b") { id } }', "A string cannot contain the NUL character"),
        ("subscription { calls }", "Cannot query field 'calls' on type 'Subscription'."),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    assert [error.message for error in prepare(text).errors][:1] == [message]


@pytest.mark.parametrize("end", ["__typename", "a: __typename"])
def test_fragments_are_followed_once(end: str) -> None:
    """Twenty of these took strawberry's limiters five seconds; forty would have taken them two months."""
    text = chain(40, TWICE, end) + " # never seen before"
    begun = time.process_time()

    prepare(text)

    assert time.process_time() - begun < 1


async def test_a_document_is_validated_once(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def validate(*given: object, **how: object) -> list[object]:
        seen.append("validated")
        return []

    monkeypatch.setattr(documents, "validate", validate)

    for _ in range(3):
        await ask("{ agents { total } # asked three times\n}")

    assert seen == ["validated", "validated"]  # our limits, then GraphQL's rules, once each


async def test_the_limits_hold_for_whoever_executes(ask: Ask) -> None:
    answer = await ask(DEEPER)

    assert answer["data"] is None
    assert [error["message"] for error in answer["errors"]] == ["The query is nested deeper than 10 levels"]


async def test_an_empty_document(ask: Ask) -> None:
    result = await schema.execute("# nothing")

    assert result.errors is not None
    assert result.errors[0].message == "Syntax Error: Unexpected <EOF>."
    assert prepare("").errors[0].message == "Syntax Error: Unexpected <EOF>."


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("{ agents { total } }", None, 1),
        ("{ agents { total } calls { total } }", None, 2),
        ("{ agents { total } agents { nodes { id } } }", None, 1),
        ("{ a: agents { total } b: agents { total } }", None, 2),
        ("{ ...A ...A ... { ...A } } fragment A on Query { agents { total } calls { total } }", None, 2),
        ("{ __typename agents { total } }", None, 2),
        ("query A { agents { total } } query B { calls { total } contacts { total } }", "B", 2),
    ],
)
def test_root_fields_are_counted_as_they_are_answered(text: str, name: str | None, expected: int) -> None:
    """K5."""
    prepared = prepare(text)
    operation = prepared.operation(name)

    assert operation is not None
    assert prepared.root_fields(operation) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("query A { agents { total } } query B { calls { total } }", None),
        ("query A { agents { total } } query B { calls { total } }", "C"),
        ("{ agents { total } }", "A"),
        ("{", None),
    ],
)
def test_an_operation_that_is_not_named(text: str, name: str | None) -> None:
    assert prepare(text).operation(name) is None
