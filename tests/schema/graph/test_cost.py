"""What an operation may cost: told from its text before it runs, and counted while it does."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLError

from schema.graph import cost
from schema.graph.cost import ASSUMED, LOOKUP, PAGE, ROW, estimate
from schema.graph.documents import Prepared, prepare
from schema.graph.root import graphql_schema
from schema.settings import Settings
from schema.tables import Call
from tests.support import seeds
from tests.support.api import Api


def points(text: str, variables: dict[str, Any] | None = None) -> int:
    prepared = valid(text)
    operation = prepared.operation(None)
    assert prepared.document is not None
    assert operation is not None
    return estimate(graphql_schema(), prepared.document, operation, variables or {})


def valid(text: str) -> Prepared:
    prepared = prepare(graphql_schema(), text)
    assert prepared.errors == ()
    return prepared


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{__typename}", 1),
        ('{call(id: "x") {id to}}', 1 + LOOKUP + ROW + 2),
        ('{call(id: "x") {agent {id}}}', 1 + LOOKUP + ROW + 1 + ROW + 1),
        ('{call(id: "x") {transcript {text}}}', 1 + LOOKUP + ROW + 1 + ASSUMED * 2),
        ("{calls(limit: 10) {total}}", 1 + PAGE + 1),
        ("{calls(limit: 10) {nodes {id to}}}", 1 + PAGE + 1 + 10 * (ROW + 2)),
        ("{calls {nodes {id}}}", 1 + PAGE + 1 + 50 * (ROW + 1)),
        ("{agents {nodes {id}}}", 1 + PAGE + 1 + 100 * (ROW + 1)),
        ("query($n: Int = 7) {calls(limit: $n) {nodes {id}}}", 1 + PAGE + 1 + 7 * (ROW + 1)),
        ("query($n: Int) {calls(limit: $n) {nodes {id}}}", 1 + PAGE + 1 + 50 * (ROW + 1)),
        ("{calls(limit: 100000) {nodes {id}}}", 1 + PAGE + 1 + ROW + 1),
        ("{a: calls(limit: 1) {total} b: calls(limit: 1) {total}}", 2 * (1 + PAGE + 1)),
        (("{...f} fragment f on Query {calls(limit: 2) {...g}} fragment g on CallPage {nodes {...h}} "
          "fragment h on Call {id ... on Call {to}}"), 1 + PAGE + 1 + 2 * (ROW + 2)),
        ("{calls(limit: 2) {...g} other: calls(limit: 3) {...g}} fragment g on CallPage {nodes {id}}",
         2 * (1 + PAGE + 1) + 5 * (ROW + 1)),
    ],
)  # fmt: skip
def test_what_is_estimated(text: str, expected: int) -> None:
    assert points(text) == expected


@pytest.mark.parametrize("given", [3, 200, 200.0])
def test_the_value_of_a_variable_counts(given: float) -> None:
    text = "query($n: Int = 7) {calls(limit: $n) {nodes {id}}}"

    assert points(text, {"n": given}) == 1 + PAGE + 1 + given * (ROW + 1)


def test_fragments_that_double_are_walked_through_once_each() -> None:
    """Forty of them are a million million fields."""
    fragments = " ".join(f"fragment f{i} on Query {{...f{i + 1} ...f{i + 1}}}" for i in range(40))

    counted = points(f"{{...f0}} {fragments} fragment f40 on Query {{__typename}}")

    assert counted == 2**40


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{agents(limit: null) {total}}", {}),
        ("query($n: Int) {agents(limit: $n) {total}}", {"n": None}),
        ("query($n: Int = null) {agents(limit: $n) {total}}", {}),
    ],
)
def test_a_list_without_an_end_is_refused(text: str, variables: dict[str, Any]) -> None:
    """REST answers whole lists (R2); a document could ask for all that there is of each."""
    with pytest.raises(GraphQLError, match=r"^limit: null asks for everything; over GraphQL it is at most 200 rows"):
        points(text, variables)


def test_an_answer_that_comes_again_and_again_may_cost_less() -> None:
    """A subscription is asked for once and answered at every change."""
    text = 'subscription {callChanged(id: "x") {status transcript {role text} campaign {%s}}}'
    cheap, dear = valid(text % "status"), valid(text % "preflight {callable}")

    check_of(cheap)
    with pytest.raises(GraphQLError, match=r"^The query could cost 5,\d+ points, and at most 2,000 are allowed"):
        check_of(dear)


def check_of(prepared: Prepared) -> None:
    operation = prepared.operation(None)
    assert prepared.document is not None
    assert operation is not None
    cost.check(graphql_schema(), prepared.document, operation, {})


async def test_what_could_cost_too_much_is_not_run(api: Api) -> None:
    query = "{calls(limit: 200) {nodes {id transcript {role text start end}}}}"

    answer = await api.graphql(query)

    (error,) = answer["errors"]
    assert answer["data"] is None
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert error["message"] == (
        "The query could cost 22,902 points, and at most 12,000 are allowed: ask for less at a time"
    )


async def test_what_the_data_make_longer_than_assumed_is_stopped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transcript has as many turns as were spoken, and nobody knows beforehand."""
    monkeypatch.setattr("app.graphql.MAX_VALUES", 50)
    call = await seeds.call(api.runtime, api.viewer)
    line = {"role": "agent", "text": "Hello", "start": 0.0, "end": 1.0}
    query = "query($id: ID!) {call(id: $id) {id transcript {role text}}}"

    await api.set(Call, call.id, transcript=[line] * 20)
    short = await api.graphql(query, id=call.id)
    await api.set(Call, call.id, transcript=[line] * 30)
    long = await api.graphql(query, id=call.id)

    assert len(short["data"]["call"]["transcript"]) == 20
    assert long["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
    assert long["errors"][0]["message"] == (
        f"The answer holds more than {cost.MAX_VALUES:,} values: ask for less at a time"
    )
    assert long["data"]["call"]["transcript"] is None


async def test_rest_answers_as_much_as_there_is(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2."""
    monkeypatch.setattr("schema.graph.cost.MAX_COST", 1)
    for number in range(3):
        await seeds.agent(api.runtime, api.viewer, name=f"Agent {number}")

    assert len((await api.get("/agents")).json()) == 3


class TestWithoutIntrospection:
    """`VOXFORGE_GRAPHQL_INTROSPECTION=false`: what is there is known to those who have been told."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"graphql_introspection": False})

    @pytest.mark.parametrize(
        "query",
        [
            "{__schema {types {name}}}",
            '{__type(name: "Call") {name}}',
            "{...f} fragment f on Query {__schema {description}}",
        ],
    )
    async def test_nobody_may_ask_what_there_is(self, api: Api, query: str) -> None:
        answer = await api.graphql(query)

        assert answer["data"] is None
        assert "introspection" in answer["errors"][0]["message"]

    async def test_the_name_of_a_type_is_told(self, api: Api) -> None:
        """Clients' caches need it."""
        assert await api.graphql("{__typename}") == {"data": {"__typename": "Query"}}

    @pytest.mark.parametrize(
        ("query", "variables"),
        [
            ("{agent {id}}", {}),
            ("{agentz {id}}", {}),
            ("mutation($input: CreateAgentInput!) {createAgent(input: $input) {id}}",
             {"input": {"name": "A", "systemPromt": "B"}}),
        ],
    )  # fmt: skip
    async def test_nothing_is_suggested(self, api: Api, query: str, variables: dict[str, Any]) -> None:
        answer = await api.graphql(query, **variables)

        assert answer["errors"]
        assert not any("Did you mean" in error["message"] for error in answer["errors"])
