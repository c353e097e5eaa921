"""`GET /api/v1/events`: a workspace's events as they happen, for programs that no webhook can reach (decision 0016).

`id:` is the event's id (the `webhook-id` of its deliveries), `event:` its type, `data:` the body that its deliveries
carry, byte for byte. `Last-Event-ID` resumes; the parameter `events` names the types that are wanted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.auth import caller_of
from app.rest.query import query_parameters
from app.rest.routes import PREFIX
from app.server_sent_events import EventStream, Streams, event, head
from schema.errors import Invalid
from schema.graph.access import require_access
from schema.rules.ids import first_id, is_id
from schema.rules.scopes import Access, Resource
from schema.rules.webhooks import EventType, parse_events
from schema.runtime import Runtime, Viewer
from schema.services import events

PATH = f"{PREFIX}/events"
OF_KEY = 10
LAST = "Last-Event-ID"
_BEGIN = "id: {}\nretry: 2000\n\n"
"""A place to resume from, for those who are cut off before anything has happened."""


def event_routes(runtime: Runtime) -> list[Route]:
    """The route; `app.auth` stands before it."""
    return [Route(PATH, _Feed(Streams(runtime, "event streams", OF_KEY)).open, methods=["GET"])]


class _Feed:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def open(self, request: Request) -> Response | EventStream:
        """Begin a stream. Raises Forbidden, Invalid, RateLimited."""
        viewer = caller_of(request).viewer
        require_access(Resource.WEBHOOKS, Access.READ, viewer)
        types, after = _wanted(request), _last(request)
        if request.method == "HEAD":
            return head()
        parts = _parts(self._streams.runtime, viewer, types, after)
        return EventStream(self._streams, viewer, parts)


async def _parts(
    runtime: Runtime, viewer: Viewer, types: Sequence[EventType], after: str | None
) -> AsyncGenerator[bytes, None]:
    place = after or first_id(runtime.clock.now())
    async with aclosing(events.follow(runtime, viewer, types=types, after=after)) as feed:
        await anext(feed)  # from here on nothing is missed
        yield _BEGIN.format(place).encode()
        async for happened in feed:
            for one in happened:
                yield event(one.body, type=one.type.value, id=one.id)


def _wanted(request: Request) -> Sequence[EventType]:
    """The types that `events` names; none for all. Raises Invalid."""
    sent = query_parameters(request.scope["query_string"])
    for name in sent:
        if name != "events":
            raise Invalid(f"Unknown query parameter '{name[:100]}'")
    if "events" not in sent:
        return ()
    types = parse_events(sent["events"].split(","))
    return () if len(types) == len(EventType) else types


def _last(request: Request) -> str | None:
    """Where the caller left off. Raises Invalid."""
    last = request.headers.get(LAST)
    if last and not is_id(last):
        raise Invalid(f"{LAST} must be the id of an event")
    return last or None
