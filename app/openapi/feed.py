"""The one operation of the document that is no row of the route table: the feed of events (`app.events`)."""

from __future__ import annotations

from typing import Any

from app.events import LAST, OF_KEY
from app.openapi.components import EXAMPLE_ID
from app.openapi.failures import RATE, failures, forbidden, headers
from app.server_sent_events import HEARTBEAT_S
from schema.rules.ids import ID
from schema.rules.webhooks import EventType
from schema.services.events import OVERLAP

_SAID = (
    "Follow the workspace's events as they happen. A stream of server-sent events, without an end: `id` is the event's "
    "id (the `webhook-id` of its deliveries), `event` its type, `data` the body that webhooks carry, byte for byte. "
    f"A comment comes after {HEARTBEAT_S:g} seconds of silence. Each event comes at least once: after a reconnection, "
    f"those of the {OVERLAP.total_seconds():g} seconds before the last one come again, so keep the ids you have seen. "
    f"At most {OF_KEY} streams of an API key are open at once."
)


def operation() -> dict[str, Any]:
    """The operation object of `GET /api/v1/events`."""
    return {
        "operationId": "FollowEvents",
        "tags": ["events"],
        "summary": _SAID.partition(". ")[0],
        "description": _SAID,
        "parameters": [
            {
                "name": "events",
                "in": "query",
                "required": False,
                "description": "The types that are wanted; all unless told.",
                "style": "form",
                "explode": False,
                "schema": {
                    "type": "array",
                    "items": {"type": "string", "enum": [event.value for event in EventType]},
                    "minItems": 1,
                },
            },
            {
                "name": LAST,
                "in": "header",
                "required": False,
                "description": "The id of the last event you have: what has happened since comes first. Unless told, "
                "the stream begins with what happens next.",
                "schema": {"type": "string", "pattern": f"^{ID}$", "examples": [EXAMPLE_ID]},
            },
        ],
        "responses": {
            "200": {
                "description": "The stream.",
                "headers": headers(*RATE),
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **failures([400, 401]),
            "403": forbidden("This API key lacks permission to read webhooks"),
            **failures([429, 500]),
        },
    }
