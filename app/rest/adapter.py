"""One handler for every REST route: the request becomes an operation's variables, the operation's answer the JSON.

Five conventions stand in place of code for each route: (1) parameters of path and query go to the variable of that
name, the JSON body, whole, to `$input`, or CSV to `$csv`; the body reaches nothing else. (2) Text is read by the
variable's type. (3) The answer is the operation's root field as selected. (4) Enums cross the wire by one rule
(`app.rest.wire`). (5) The first error's code gives the status; any error is a failure. What does not fit together stops
the start.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from graphql import GraphQLError
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from app.auth import context_of
from app.csv_body import read_csv
from app.json_body import read_json
from app.responses import STATUS, JSONResponse, error_response
from app.rest.idempotency import respond_once, sent_key
from app.rest.inputs import read_input
from app.rest.query import query_parameters, read_query
from app.rest.routes import CSV, PREFIX, ROUTES, Route
from app.rest.wire import writer
from schema.errors import ErrorCode, Invalid
from schema.graph.access import require
from schema.graph.context import Context
from schema.graph.execution import Operation, compile_operations
from schema.graph.idempotency import Keyed
from schema.graph.root import graphql_schema, schema

_WITH_BODY = frozenset({"POST", "PATCH"})


class RouteError(Exception):
    """A row of the table that cannot be served."""


class Endpoint:
    """A row of the table with its operation: all that is known of a route before anybody asks."""

    def __init__(self, route: Route, operation: Operation) -> None:
        self.route = route
        self.operation = operation
        variables = operation.variables
        names = re.findall(r"{(\w+)}", route.path)
        self.path = {name: variables[name] for name in names if name in variables and name != route.body}
        if len(self.path) != len(names):
            raise RouteError(f"{route.method} {route.path}: {operation.name} lacks a variable for a path parameter")
        self.body = variables.get(route.body)
        self.takes_key = route.method == "POST"
        self.query = {name: each for name, each in variables.items() if name not in self.path and name != route.body}
        if self.body and route.method not in _WITH_BODY:
            raise RouteError(f"{route.method} {route.path}: {operation.name} wants a body")
        if operation.is_mutation is (route.method == "GET"):
            raise RouteError(f"{route.method} {route.path}: {operation.name} is of the wrong kind")
        for variable in (*self.path.values(), *self.query.values()):
            with suppress(Invalid):
                read_query(variable.type, "", variable.name)  # TypeError for a type that a URL cannot give
        self._write = writer(graphql_schema(), operation.root.type, operation.root.selection, operation.fragments)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises the domain's errors; `app.exceptions` answers those."""
        context = context_of(request)
        require(self.operation.root.definition, context.viewer)  # before a body of 25 MiB is read for nothing
        key = sent_key(request.scope) if self.takes_key else None
        sent = self._sent(request)
        variables = await self._variables(request, sent)
        if key is None:
            return await self._respond(request, context, sent, variables)
        place = (self.route.path, *(str(variables[name]) for name in self.path))
        respond = partial(self._respond, request, context, sent, variables)
        return await respond_once(context, Keyed(self.operation, place, key, variables), respond)

    async def _respond(
        self, request: Request, context: Context, sent: Mapping[str, str], variables: Mapping[str, Any]
    ) -> Response:
        value, errors = await self.operation.run(variables, context)
        if errors:
            return _failure(errors[0])
        if self.route.status == 204:
            return Response(status_code=204)
        answer = self._write(value)
        if self.route.page:
            return self._page(request, context, sent, answer)
        headers = {}
        if self.route.status == 201:
            headers["Location"] = f"{PREFIX}{self.route.location or self.route.path}/{answer['id']}"
        return JSONResponse(answer, self.route.status, headers)

    def _sent(self, request: Request) -> dict[str, str]:
        """The query's parameters. Raises Invalid for one that this route does not take (decision R7)."""
        sent = query_parameters(request.scope["query_string"])
        for name in sent:
            if name not in self.query:
                raise Invalid(f"Unknown query parameter '{name[:100]}'")
        return sent

    async def _variables(self, request: Request, sent: Mapping[str, str]) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        for name, variable in self.path.items():
            variables[name] = read_query(variable.type, request.path_params[name], name)
        for name, variable in self.query.items():
            if name in sent:
                variables[name] = read_query(variable.type, sent[name], name)
            elif variable.required:
                raise Invalid(f"Query parameter '{name}' is required")
        if self.route.method in _WITH_BODY:
            await self._read_body(request, variables)
        return variables

    async def _read_body(self, request: Request, variables: dict[str, Any]) -> None:
        if self.route.body == CSV:
            variables[CSV] = await read_csv(request)
            return
        required = self.body is not None and self.body.required
        value = await read_json(request, optional=not required)
        if self.body and (required or value is not None):
            variables[self.route.body] = read_input(self.body.type, value)
        elif isinstance(value, dict):
            for name in value:
                raise Invalid(f"Unknown field '{name[:100]}'")
        elif value is not None:
            raise Invalid("The request body must be an object")

    def _page(self, request: Request, context: Context, sent: Mapping[str, str], page: Mapping[str, Any]) -> Response:
        nodes, total, limit = page["nodes"], page["total"], page["limit"]
        headers = {"X-Total-Count": str(total)}
        after = page["offset"] + len(nodes)
        if nodes and after < total:
            query = urlencode({**sent, "limit": limit, "offset": after})
            base = context.runtime.settings.public_base
            headers["Link"] = f'<{base}{request.scope["path"]}?{query}>; rel="next"'
        return JSONResponse(nodes, self.route.status, headers)


def compile_endpoints(routes: Sequence[Route] = ROUTES, text: str | None = None) -> list[Endpoint]:
    """The table, joined to its operations: an operation for each route, and a route for each operation.

    Raises RouteError, OperationError for a document that does not fit the schema, TypeError for a parameter that a URL
    cannot give.
    """
    document = (files(__package__) / "operations.graphql").read_text() if text is None else text
    operations = compile_operations(schema, document)
    unused = operations.keys() - {route.operation for route in routes}
    if unused:
        raise RouteError(f"no route for: {', '.join(sorted(unused))}")
    for route in routes:
        if route.operation not in operations:
            raise RouteError(f"{route.method} {route.path}: no operation {route.operation}")
    return [Endpoint(route, operations[route.operation]) for route in routes]


def rest_routes(endpoints: Sequence[Endpoint]) -> list[StarletteRoute]:
    """What Starlette routes by."""
    paths = [endpoint.route.path for endpoint in endpoints]
    made = []
    for endpoint in endpoints:
        path, method = endpoint.route.path, endpoint.route.method
        route = StarletteRoute(PREFIX + _beside_words(path, paths), endpoint.handle, methods=[method])
        route.path = PREFIX + path  # as everybody else calls it
        made.append(route)
    return made


def _beside_words(path: str, paths: Sequence[str]) -> str:
    """The path, whose parameters are none of the words that other paths have in their place.

    OpenAPI matches a path of words before one with parameters, whatever the method: no contact has the id `import`.
    """
    parts = path.split("/")
    for at, part in enumerate(parts):
        others = [other.split("/") for other in paths]
        words = {
            other[at]
            for other in others
            if len(other) == len(parts) and other[:at] == parts[:at] and "{" not in other[at]
        }
        if part.startswith("{") and words:
            convertor = "_or_".join(sorted(words))
            register_url_convertor(convertor, _unlike(words))
            parts[at] = f"{part[:-1]}:{convertor}}}"
    return "/".join(parts)


def _unlike(words: Collection[str]) -> StringConvertor:
    """Anything but those words."""
    regex = f"(?!(?:{'|'.join(sorted(map(re.escape, words)))})(?:/|$))[^/]+"
    made: StringConvertor = type("Unlike", (StringConvertor,), {"regex": regex})()
    return made


def _failure(error: GraphQLError) -> Response:
    code = ErrorCode((error.extensions or {}).get("code", ErrorCode.INTERNAL_ERROR))
    return error_response(STATUS[code], code, error.message)
