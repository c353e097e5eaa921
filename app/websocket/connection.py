"""One connection: the messages of `graphql-transport-ws`, and the operations that they begin and end.

Its close codes are the protocol's: 4400 a message that is none, 4401 and 4403 credentials, 4408 and 4429 none or two
`connection_init`, 4409 an id that is in use. Beside those: 1013, for somebody who may try again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.auth import Caller
from app.graphql_request import Refused, check, payload, read_request
from app.json_body import parse_json
from schema.clock import Clock
from schema.errors import DomainError, Forbidden, Invalid, RateLimited, Unauthenticated
from schema.graph.cost import MAX_VALUES
from schema.graph.streaming import answers

PROTOCOL = "graphql-transport-ws"
INIT_S = 10.0
MAX_OPERATIONS = 25
MAX_ID = 128
_CLOSE_S = 2.0
_MAX_REASON = 120  # bytes; a close frame takes 123

SignIn = Callable[[Sequence[str]], Awaitable[None]]
"""With the values of `authorization` in the payload of `connection_init`. Raises DomainError."""
NewCaller = Callable[[], Awaitable[Caller]]
"""Whoever has signed in, as they are now. Raises DomainError when they are nobody any more."""


class _Close(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def close_code(error: DomainError) -> int:
    """How a connection ends because of credentials, or of the lack of a place."""
    if isinstance(error, RateLimited):
        return 1013
    return 4403 if isinstance(error, Forbidden) else 4401


class Connection:
    """An accepted WebSocket, until either side closes it."""

    def __init__(self, socket: WebSocket, clock: Clock, *, sign_in: SignIn, caller: NewCaller) -> None:
        self._socket = socket
        self._clock = clock
        self._sign_in = sign_in
        self._caller = caller
        self._request_id: str = socket.scope.get("state", {}).get("request_id", "")
        self._was_begun = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[tuple[int, str] | None] = asyncio.get_running_loop().create_future()

    def end(self, error: DomainError) -> None:
        """Close it, without waiting for that."""
        self._end_with(close_code(error), error.message)

    async def serve(self) -> None:
        """Until it has ended; then nothing of it runs any more."""
        reading = asyncio.create_task(self._read(), name="websocket")
        init = asyncio.create_task(self._expect_init(), name="websocket init")
        self._init = init
        try:
            either: set[asyncio.Future[Any]] = {reading, self._end}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running = {reading, init, *self._tasks}
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if self._end.done() and (closing := self._end.result()) is not None:
            with suppress(TimeoutError, WebSocketDisconnect):
                async with asyncio.timeout(_CLOSE_S):  # one who does not read is cut off by the protocol below
                    await self._socket.close(*closing)
        elif not reading.cancelled():
            reading.result()  # a crash is for those outside

    def _end_with(self, code: int, reason: str) -> None:
        if not self._end.done():
            self._end.set_result((code, reason.encode()[:_MAX_REASON].decode(errors="ignore")))

    async def _expect_init(self) -> None:
        await self._clock.sleep(INIT_S)
        self._end_with(4408, "Connection initialisation timeout")

    async def _read(self) -> None:
        try:
            while True:
                received = await self._socket.receive()
                if received["type"] == "websocket.disconnect":
                    return
                await self._handle(_message(received))
        except _Close as closing:
            self._end_with(closing.code, closing.reason)
        except WebSocketDisconnect:
            return

    async def _handle(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                await self._begin(message.get("payload"))
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(_id(message), message.get("payload"))
            case "complete":
                task = self._operations.pop(_id(message), None)
                if task is not None:
                    task.cancel()
                    await asyncio.wait({task})  # who begins and completes all day has no more under way than others
            case _:
                raise _Close(4400, "Unknown message type")

    async def _begin(self, given: object) -> None:
        if self._was_begun:
            raise _Close(4429, "Too many initialisation requests")
        self._was_begun = True
        self._init.cancel()
        if given is not None and not isinstance(given, dict):
            raise _Close(4400, "The payload of connection_init must be an object")
        values = [value for name, value in (given or {}).items() if name.lower() == "authorization"]
        if not all(isinstance(value, str) for value in values):
            raise _Close(4400, "authorization must be a string")
        try:
            await self._sign_in(values)
        except DomainError as error:
            raise _Close(close_code(error), error.message) from None
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, id: str, given: object) -> None:
        if not self._was_begun:
            raise _Close(4401, "Unauthorized")
        if id in self._operations:
            raise _Close(4409, f"Subscriber for {id} already exists")
        if not isinstance(given, dict):
            raise _Close(4400, "The payload of subscribe must be an object")
        if len(self._tasks) >= MAX_OPERATIONS:
            too_many = RateLimited(f"At most {MAX_OPERATIONS} operations run on a connection at once", retry_after_s=1)
            await self._send(self._error(id, [_raised(too_many)]))
            return
        task = asyncio.create_task(self._operate(id, given), name="websocket operation")
        self._operations[id] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _operate(self, id: str, given: dict[str, Any]) -> None:
        with suppress(WebSocketDisconnect):
            async with aclosing(self._messages(id, given)) as messages:
                async for message in messages:
                    if message["type"] != "next" and self._operations.get(id) is asyncio.current_task():
                        del self._operations[id]  # before it is told, for then the id may be used again
                    await self._send(message)

    async def _messages(self, id: str, given: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """What is answered to one operation. Who asks is looked up again for each, as over HTTP."""
        try:
            asked = read_request(given)
            caller = await self._authenticated()
            if caller is None:
                return
            await caller.count(1)
            await check(asked, caller, subscriptions=True)
            stream = answers(asked.query, asked.variables, asked.operation_name, caller.context, values=MAX_VALUES)
            async with aclosing(stream):
                async for answer in stream:
                    if answer.is_refusal:
                        yield self._error(id, answer.errors)
                        return
                    yield {"id": id, "type": "next", "payload": payload(answer.data, answer.errors, self._request_id)}
        except Refused as refused:
            yield self._error(id, refused.errors)
        except WebSocketDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, somebody waits for an answer; `present` logs ours)
            yield self._error(id, [_raised(error)])
        else:
            yield {"id": id, "type": "complete"}

    async def _authenticated(self) -> Caller | None:
        try:
            return await self._caller()
        except (Unauthenticated, Forbidden) as error:
            self.end(error)
            return None

    def _error(self, id: str, errors: Sequence[GraphQLError]) -> dict[str, Any]:
        return {"id": id, "type": "error", "payload": payload(None, errors, self._request_id)["errors"]}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(orjson.dumps(message).decode())


def _message(received: Any) -> dict[str, Any]:
    text = received.get("text")
    if text is None:
        raise _Close(4400, "Messages must be text")
    try:
        message = parse_json(text.encode())
    except Invalid:
        raise _Close(4400, "Messages must be valid JSON, nested no deeper than 32 levels") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise _Close(4400, "A message must be an object with a type")
    return message


def _id(message: dict[str, Any]) -> str:
    id = message.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID:
        raise _Close(4400, f"id must be a string of 1 to {MAX_ID} characters")
    return id


def _raised(error: Exception) -> GraphQLError:
    return GraphQLError(str(error), original_error=error)
