"""`POST /graphql/stream`: one GraphQL request, whose answers come as server-sent events.

For subscriptions where a WebSocket does not get through. It is the protocol of graphql-sse in its "distinct connections
mode": `event: next` with an answer in `data`, as many as there are, then `event: complete`. Credentials, counting and
limits are those of `POST /graphql`; what is refused before GraphQL is refused as there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from starlette.routing import Route

from app.auth import Caller, caller_of
from app.graphql import PATH as GRAPHQL
from app.graphql_request import GraphQLRequest, Refused, check, payload, read_request
from app.json_body import read_json
from app.server_sent_events import HEARTBEAT, EventStream, Streams, event
from schema.errors import Invalid
from schema.graph.cost import MAX_VALUES
from schema.graph.streaming import answers
from schema.runtime import Runtime

PATH = f"{GRAPHQL}/stream"
OF_CALLER = 100
"""As many as they may have WebSockets: each of these is an operation."""
_COMPLETE = event(b"", type="complete")


def stream_routes(runtime: Runtime) -> list[Route]:
    """The route; `app.auth` stands before it."""
    return [Route(PATH, _Entrance(Streams(runtime, "GraphQL streams", OF_CALLER)).open, methods=["POST"])]


class _Entrance:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def open(self, request: Request) -> EventStream:
        """Begin to answer one request. Raises Invalid, HTTPException 415, RateLimited."""
        if request.scope["query_string"]:
            raise Invalid(f"{PATH} takes no query parameters: send a JSON body")
        asked = read_request(await read_json(request))
        caller = caller_of(request)
        try:
            await check(asked, caller, subscriptions=True)
        except Refused as refused:
            return EventStream(self._streams, caller.viewer, _refusal(caller, refused.errors))
        return EventStream(self._streams, caller.viewer, _answered(caller, asked))


async def _refusal(caller: Caller, errors: Sequence[GraphQLError]) -> AsyncGenerator[bytes, None]:
    yield _next(None, errors, caller)
    yield _COMPLETE


async def _answered(caller: Caller, asked: GraphQLRequest) -> AsyncGenerator[bytes, None]:
    yield HEARTBEAT  # so that the answer begins, whenever there is something to tell
    stream = answers(asked.query, asked.variables, asked.operation_name, caller.context, values=MAX_VALUES)
    try:
        async with aclosing(stream):
            async for answer in stream:
                yield _next(answer.data, answer.errors, caller)
    except Exception as error:  # noqa: BLE001 (whatever it is, somebody waits for an answer; `present` logs ours)
        yield _next(None, [GraphQLError(str(error), original_error=error)], caller)
    yield _COMPLETE


def _next(data: object, errors: Sequence[GraphQLError], caller: Caller) -> bytes:
    return event(orjson.dumps(payload(data, errors, caller.context.request_id)), type="next")
