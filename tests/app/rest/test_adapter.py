"""The table of routes and its operations: what does not fit together stops the start."""

from __future__ import annotations

from importlib.resources import files

import pytest

from app.rest.adapter import Endpoint, RouteError, compile_endpoints
from app.rest.routes import CSV, ROUTES, Route
from schema.graph.execution import OperationError

LIST = """query ListAgents($limit: Int, $offset: Int) {
  agents(limit: $limit, offset: $offset) { nodes { id } total limit offset }
}
"""
GET = "query GetAgent($id: ID!) { agent(id: $id) { id } }"
CREATE = "mutation CreateAgent($input: CreateAgentInput!) { createAgent(input: $input) { id } }"
UPDATE = "mutation UpdateAgent($id: ID!, $input: UpdateAgentInput!) { updateAgent(id: $id, input: $input) { id } }"
HANG_UP = "mutation HangUp($id: ID!) { hangUpCall(id: $id) { id } }"


IMPORT = """mutation Import($csv: String!, $dryRun: Boolean! = false) {
  importContacts(csv: $csv, dryRun: $dryRun) { rows }
}
"""


def compiled(route: Route, text: str) -> Endpoint:
    (endpoint,) = compile_endpoints([route], text)
    return endpoint


def test_every_row_has_its_operation_and_every_operation_its_row() -> None:
    endpoints = compile_endpoints()

    assert [endpoint.route for endpoint in endpoints] == list(ROUTES)
    assert len({endpoint.operation.name for endpoint in endpoints}) == len(ROUTES)
    assert (files("app.rest") / "operations.graphql").read_text().count("\nquery ") + (
        files("app.rest") / "operations.graphql"
    ).read_text().count("\nmutation ") == len(ROUTES)


def test_what_is_known_of_an_endpoint() -> None:
    update = compiled(Route("PATCH", "/agents/{id}", "UpdateAgent"), UPDATE)
    imports = compiled(Route("POST", "/contacts/import", "Import", body=CSV), IMPORT)
    listing = compiled(Route("GET", "/agents", "ListAgents", page=True), LIST)

    assert (list(update.path), list(update.query), update.body is not None) == (["id"], [], True)
    assert (list(imports.path), list(imports.query), imports.body is not None) == ([], ["dryRun"], True)
    assert (list(listing.path), list(listing.query), listing.body) == ([], ["limit", "offset"], None)


@pytest.mark.parametrize(
    ("route", "text", "message"),
    [
        (Route("GET", "/agents", "ListAll"), LIST, "no route for: ListAgents"),
        (Route("GET", "/agents", "ListAgents"), LIST + GET, "no route for: GetAgent"),
        (Route("GET", "/agents/{agent}", "GetAgent"), GET, "GetAgent lacks a variable for a path parameter"),
        (Route("POST", "/agents/{input}", "CreateAgent"), CREATE, "CreateAgent lacks a variable for a path parameter"),
        (Route("DELETE", "/agents/{id}", "UpdateAgent"), UPDATE, "UpdateAgent wants a body"),
        (Route("POST", "/agents/{id}", "GetAgent"), GET, "GetAgent is of the wrong kind"),
        (Route("GET", "/calls/{id}/hangup", "HangUp"), HANG_UP, "HangUp is of the wrong kind"),
    ],
)
def test_a_row_that_does_not_fit_stops_the_start(route: Route, text: str, message: str) -> None:
    with pytest.raises(RouteError) as refusal:
        compiled(route, text)

    assert str(refusal.value).endswith(message)


def test_a_row_without_its_operation_stops_the_start() -> None:
    with pytest.raises(RouteError) as refusal:
        compile_endpoints([Route("GET", "/agents", "ListAgents"), Route("GET", "/agents/{id}", "GetAgent")], LIST)

    assert str(refusal.value) == "GET /agents/{id}: no operation GetAgent"


def test_a_document_that_does_not_fit_the_schema_stops_the_start() -> None:
    with pytest.raises(OperationError, match="Cannot query field 'mood' on type 'Agent'"):
        compiled(Route("GET", "/agents/{id}", "GetAgent"), "query GetAgent($id: ID!) { agent(id: $id) { mood } }")


def test_a_parameter_that_a_url_cannot_give_stops_the_start() -> None:
    text = "mutation Make($body: CreateAgentInput!) { createAgent(input: $body) { id } }"

    with pytest.raises(TypeError, match="CreateAgentInput cannot be given in a URL"):
        compiled(Route("POST", "/agents", "Make"), text)
