"""`POST /graphql`: one GraphQL request in JSON, answered in JSON.

Whatever reaches GraphQL is answered `200` with `data` and `errors`, also a document that does not parse or does not fit
the schema: so GraphQL over HTTP has it for `application/json`. Each error's `extensions.code` is one of the document's
seven. What is refused before GraphQL (no key, too many requests, another method or media type, a body that is no
request) is refused as everywhere: its status, and the envelope of decision E1. There is no batching and no GET.
Each root field counts as one request (decision K5). Subscriptions are for `app.websocket`.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.auth import caller_of
from app.graphql_request import Refused, check, payload, read_request
from app.json_body import read_json
from app.responses import JSONResponse
from schema.errors import Invalid
from schema.graph.cost import MAX_VALUES
from schema.graph.root import schema

PATH = "/graphql"


def graphql_routes() -> list[Route]:
    """The route of the endpoint; `app.auth` stands before it."""
    return [Route(PATH, endpoint, methods=["POST"])]


async def endpoint(request: Request) -> Response:
    """Answer one request. Raises Invalid, HTTPException 415, RateLimited."""
    if request.scope["query_string"]:
        raise Invalid("/graphql takes no query parameters: send a JSON body")
    asked = read_request(await read_json(request))
    caller = caller_of(request)
    request_id = caller.context.request_id
    try:
        await check(asked, caller, subscriptions=False)
    except Refused as refused:
        return JSONResponse(payload(None, refused.errors, request_id))
    caller.context.values_left = MAX_VALUES
    result = await schema.execute(
        asked.query,
        variable_values=asked.variables,
        operation_name=asked.operation_name,
        context_value=caller.context,
    )
    return JSONResponse(payload(result.data, result.errors or [], request_id))
