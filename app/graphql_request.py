"""What a GraphQL request is, over HTTP and over a WebSocket, and what is checked before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType

from app.auth import Caller
from schema.errors import Invalid
from schema.graph.documents import Prepared, prepare
from schema.graph.errors import present
from schema.graph.root import graphql_schema

NOT_OVER_POST = (
    "Subscriptions are not answered over POST: open a WebSocket, with the sub-protocol graphql-transport-ws, "
    "or POST to /graphql/stream"
)


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A document, its variables, and which of its operations to run."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


class Refused(Exception):
    """GraphQL says no before anything runs."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__()
        self.errors = errors


def read_request(body: object) -> GraphQLRequest:
    """The request in a JSON body. Raises Invalid."""
    if isinstance(body, list):
        raise Invalid("The request body must be one GraphQL request: batches are not taken")
    if not isinstance(body, dict):
        raise Invalid("The request body must be an object")
    for name in body:
        if name not in {"query", "variables", "operationName", "extensions"}:
            raise Invalid(f"Unknown field '{name[:100]}'")
    query, operation_name = body.get("query"), body.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise Invalid("query must be a GraphQL document" if "query" in body else "query is required")
    if operation_name is not None and not isinstance(operation_name, str):
        raise Invalid("operationName must be a string")
    for name in ("variables", "extensions"):
        if body.get(name) is not None and not isinstance(body[name], dict):
            raise Invalid(f"{name} must be an object")
    if _has_nul(body.get("variables")):
        raise Invalid("variables cannot contain the NUL character")
    return GraphQLRequest(query, body.get("variables"), operation_name)


async def check(asked: GraphQLRequest, caller: Caller, *, subscriptions: bool) -> None:
    """Let nothing run that is not valid, could cost too much, or is a root field too many for the caller's minute.

    One request has been counted already, and is the first root field (decision K5). Raises Refused, RateLimited.
    """
    prepared = prepare(graphql_schema(), asked.query, introspection=caller.context.introspection)
    if prepared.errors:
        raise Refused(prepared.errors)
    try:
        operation = select_operation(prepared, asked.operation_name)
        prepared.check_cost(graphql_schema(), operation, asked.variables or {})
    except GraphQLError as refusal:
        raise Refused([refusal]) from None
    if operation.operation is OperationType.SUBSCRIPTION and not subscriptions:
        raise Refused([GraphQLError(NOT_OVER_POST)])
    extra = prepared.root_fields(operation) - 1
    if extra > 0:
        await caller.count(extra)


def payload(data: Any, errors: Sequence[GraphQLError], request_id: str) -> dict[str, Any]:
    """An answer as GraphQL writes it, `errors` only where there are any."""
    answer = {"data": data}
    if errors:
        answer["errors"] = [present(error, request_id).formatted for error in errors]
    return answer


def select_operation(prepared: Prepared, name: str | None) -> OperationDefinitionNode:
    """The operation to run. Raises GraphQLError: Strawberry would raise something that reads as a crash of ours."""
    operation = prepared.operation(name)
    if operation is None and name is not None:
        raise GraphQLError(f"There is no operation named '{name[:100]}' in the query")
    if operation is None:
        raise GraphQLError("operationName must say which operation of the query to run")
    return operation


def _has_nul(value: object) -> bool:
    """Whether a string in it, of 32 levels at most, has the one character that no database takes."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _has_nul(held) for name, held in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
