"""One operation of the document: a row of the route table with all that its operation says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInputType, get_named_type

from app.csv_body import MEDIA_TYPE
from app.openapi.answers import Answers
from app.openapi.components import EXAMPLE_ID, PHONE_NUMBER, Components, Schema, described, nullable
from app.openapi.facts import COUNTED
from app.openapi.failures import RATE, csv_failures, failures, forbidden, headers, limit_reached
from app.openapi.inputs import Inputs
from app.rest.adapter import Endpoint
from app.rest.idempotency import REPLAYED
from app.rest.routes import CSV, INPUT, PREFIX
from app.rest.wire import to_wire
from schema.graph.execution import Variable
from schema.rules.idempotency import HEADER, KEY, MAX_LENGTH, RETENTION
from schema.rules.paging import MAX_LIMIT

_PARAMETERS: dict[str, Schema] = {
    "limit": {"description": "How many at most.", "minimum": 1, "maximum": MAX_LIMIT},
    "offset": {"description": "How many to pass over.", "minimum": 0, "default": 0},
    "from": {"description": "The first day or instant."},
    "to": {"description": "The last day or instant, inclusive."},
    "phoneNumber": PHONE_NUMBER,
    "mode": {"description": "What becomes of the good rows when others are wrong."},
    "dryRun": {"description": "Change nothing, and say what would be done."},
}
"""What the rules say of a parameter of that name, on whatever route."""
CSV_CONTENT: dict[str, Any] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "string",
            "description": "UTF-8, or UTF-16 with a byte order mark; columns separated by commas, semicolons or tabs.",
        },
        "example": 'phoneNumber,name,company\n+15551234567,"Doe, Jane",Acme\n',
    }
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "description": (
        f"Any text of your own for this request. For {RETENTION // timedelta(hours=1)} hours the same key and the same "
        f"body are answered as the first time, byte for byte and with `{REPLAYED}: true`, and nothing is done again. "
        "Another body is `400`; while the first request is running, `409`. What was refused because of what it refers "
        "to is kept as well. Not kept are 401, 403, 413, 415, 429, 5xx and bodies that are not valid in themselves."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": f"^{KEY}$"},
}
"""The header that every POST takes (decision R10)."""


class Operations:
    """Operations of a table of endpoints."""

    def __init__(self, endpoints: Sequence[Endpoint], components: Components, inputs: Inputs) -> None:
        self._endpoints = endpoints
        self._components = components
        self._inputs = inputs

    def of(self, endpoint: Endpoint) -> dict[str, Any]:
        """The operation object."""
        said = endpoint.operation.root.definition.description or endpoint.operation.name
        summary, _, more = said.partition(". ")
        operation: dict[str, Any] = {
            "operationId": endpoint.operation.name,
            "tags": [tag_of(endpoint)],
            "summary": summary.removesuffix("."),
        }
        if more and endpoint.route.status != 204:  # such an answer has nothing to be said of
            operation["description"] = said
        parameters = [self._path_parameter(name) for name in endpoint.path]
        parameters += [self._query_parameter(variable) for variable in endpoint.query.values()]
        parameters += [{"$ref": f"#/components/parameters/{HEADER}"}] if endpoint.takes_key else []
        if parameters:
            operation["parameters"] = parameters
        if endpoint.body:
            sent = self._inputs.of(endpoint.body.type)
            schema = sent if endpoint.body.required else nullable(sent)
            operation["requestBody"] = {
                "required": endpoint.body.required,
                "content": {"application/json": {"schema": schema}} if endpoint.route.body == INPUT else CSV_CONTENT,
            }
        operation["responses"] = {str(endpoint.route.status): self._success(endpoint), **self._failures(endpoint)}
        return operation

    def _path_parameter(self, name: str) -> dict[str, Any]:
        # Not the pattern of ids: one that has another shape is not found, like any other that is not there.
        return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "examples": [EXAMPLE_ID]}}

    def _query_parameter(self, variable: Variable) -> dict[str, Any]:
        named = get_named_type(variable.type)
        # Any text will do for the id of a filter: an unknown one finds nothing.
        schema: Schema = {"type": "string"} if named.name == "ID" else self._components.leaf(named)
        schema = {**schema, **_PARAMETERS.get(variable.name, {})}
        description = schema.pop("description", None)
        if variable.default is not None:
            schema["default"] = to_wire(variable.default) if isinstance(named, GraphQLEnumType) else variable.default
        parameter = {"name": variable.name, "in": "query", "required": variable.required, "schema": schema}
        return described(parameter, description)

    def _success(self, endpoint: Endpoint) -> dict[str, Any]:
        route = endpoint.route
        if route.status == 204:
            return {"description": "Done.", "headers": headers(*RATE)}
        names = ["Location"] if route.status == 201 else []
        names += [REPLAYED] if endpoint.takes_key else []
        answers = Answers(self._components, endpoint.operation.fragments)
        root = endpoint.operation.root
        if route.page:
            names += ["X-Total-Count", "Link"]
            schema = answers.within(root, "nodes")
        else:
            schema = answers.of(root)
        success = {
            "description": "Made." if route.status == 201 else "OK",
            "headers": headers(*names, *RATE),
            "content": {"application/json": {"schema": schema}},
        }
        links = self._links(endpoint) if route.status == 201 else {}
        return success | ({"links": links} if links else {})

    def _links(self, endpoint: Endpoint) -> dict[str, Any]:
        """To the operations on what has been made."""
        made = f"{endpoint.route.location or endpoint.route.path}/{{id}}"
        return {
            other.operation.name: {
                "operationId": other.operation.name,
                "parameters": dict.fromkeys(other.path, "$response.body#/id"),
            }
            for other in self._endpoints
            if other.route.path == made or other.route.path.startswith(f"{made}/")
        }

    def _failures(self, endpoint: Endpoint) -> dict[str, Any]:
        inputs = _inputs_of(endpoint.body.type) if endpoint.body else {}
        named = {get_named_type(variable.type).name for variable in endpoint.query.values()}
        refers = endpoint.operation.is_mutation and "ID" in named
        has_id = bool(endpoint.path) or refers or any("ID" in fields for fields in inputs.values())
        has_body = endpoint.route.method in ("POST", "PATCH")
        sometimes = {404: has_id, 409: endpoint.takes_key, 413: has_body, 415: has_body}
        found = failures([400, 401, *(status for status, can_be in sometimes.items() if can_be), 429, 500])
        if endpoint.route.body == CSV:
            found |= csv_failures()
        for permission in endpoint.operation.root.definition.extensions["strawberry-definition"].permission_classes:
            found["403"] = forbidden(permission.message)
        for name in {*inputs, endpoint.operation.name} & COUNTED.keys():
            if endpoint.route.method == "POST":
                found["422"] = limit_reached(COUNTED[name])
        return dict(sorted(found.items()))


def tag_of(endpoint: Endpoint) -> str:
    """The first part of the path."""
    return endpoint.route.path.split("/")[1]


def path_of(endpoint: Endpoint) -> str:
    """The path as the document has it."""
    return PREFIX + endpoint.route.path


def _inputs_of(type: GraphQLInputType) -> dict[str, set[str]]:
    """The input types in a body, each with the names of its fields' types."""
    named = get_named_type(type)
    if not isinstance(named, GraphQLInputObjectType):
        return {}
    found = {named.name: {get_named_type(field.type).name for field in named.fields.values()}}
    for field in named.fields.values():
        found |= _inputs_of(field.type)
    return found
