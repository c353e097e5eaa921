"""`POST /graphql`: one GraphQL request in JSON, answered in JSON.

Whatever reaches GraphQL is answered `200` with `data` and `errors`, also a document that does not parse or does not fit
the schema: so GraphQL over HTTP has it for `application/json`. Each error's `extensions.code` is one of the document's
seven. What is refused before GraphQL (no key, too many requests, another method or media type, a body that is no
request) is refused as everywhere: its status, and the envelope of decision E1. There is no batching and no GET.
Each root field counts as one request (decision K5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.auth import caller_of
from app.json_body import read_json
from app.responses import JSONResponse
from schema.errors import Invalid
from schema.graph.documents import Prepared, prepare
from schema.graph.errors import present
from schema.graph.root import graphql_schema, schema


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The body of a request."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


def graphql_routes() -> list[Route]:
    """The route of the endpoint; `app.auth` stands before it."""
    return [Route("/graphql", endpoint, methods=["POST"])]


async def endpoint(request: Request) -> Response:
    """Answer one request. Raises Invalid, HTTPException 415, RateLimited."""
    if request.scope["query_string"]:
        raise Invalid("/graphql takes no query parameters: send a JSON body")
    asked = read_request(await read_json(request))
    caller = caller_of(request)
    prepared = prepare(graphql_schema(), asked.query)
    if prepared.errors:
        return _answer(None, prepared.errors, caller.context.request_id)
    try:
        operation = _operation(prepared, asked.operation_name)
    except GraphQLError as refusal:
        return _answer(None, [refusal], caller.context.request_id)
    extra = prepared.root_fields(operation) - 1  # one has been counted already
    if extra > 0:
        await caller.count(extra)
    result = await schema.execute(
        asked.query,
        variable_values=asked.variables,
        operation_name=asked.operation_name,
        context_value=caller.context,
    )
    return _answer(result.data, result.errors or [], caller.context.request_id)


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


def _has_nul(value: object) -> bool:
    """Whether a string in it, of 32 levels at most, has the one character that no database takes."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _has_nul(held) for name, held in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


def _operation(prepared: Prepared, name: str | None) -> OperationDefinitionNode:
    """The operation to run. Raises GraphQLError: Strawberry would raise something that reads as a crash of ours."""
    operation = prepared.operation(name)
    if operation is None and name is not None:
        raise GraphQLError(f"There is no operation named '{name[:100]}' in the query")
    if operation is None:
        raise GraphQLError("operationName must say which operation of the query to run")
    if operation.operation is OperationType.SUBSCRIPTION:
        raise GraphQLError("Subscriptions are not answered at /graphql over POST")
    return operation


def _answer(data: Any, errors: Sequence[GraphQLError], request_id: str) -> Response:
    answer = {"data": data}
    if errors:
        answer["errors"] = [present(error, request_id).formatted for error in errors]
    return JSONResponse(answer)
