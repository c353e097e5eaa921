"""The five events as OpenAPI webhooks: what a customer's own server is sent (decisions W1 to W5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import NoneType
from typing import Any, get_args, get_type_hints

import orjson

from app.openapi.components import Components, Schema, nullable, present
from schema.rules.fields import camel
from schema.rules.webhooks import CallFacts, EventType, render, sample_data
from schema.settings import Settings

_SAMPLE_INSTANT = datetime(2025, 1, 15, 14, 25, tzinfo=UTC)
_WHEN = {
    EventType.CALL_STARTED: "A call has been initiated",
    EventType.CALL_ENDED: "A call has completed",
    EventType.CALL_FAILED: "A call could not connect",
    EventType.TRANSCRIPT_READY: "Transcript is processed and available",
    EventType.ANALYSIS_COMPLETE: "AI analysis (sentiment, summary) is ready",
}
_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "X-VoxForge-Signature": (
        "`sha256=` and the hex HMAC-SHA256 of the raw body. The key is the whole secret, `whsec_` included.",
        {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
    ),
    "webhook-id": ("The event's id, the same on every attempt.", {"type": "string"}),
    "webhook-timestamp": (
        "When this attempt was sent, in Unix seconds.",
        {"type": "string", "pattern": "^[0-9]+$"},
    ),
    "webhook-signature": (
        "As Standard Webhooks has it: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`; two while two are good.",
        {"type": "string", "pattern": "^v1,[A-Za-z0-9+/=]+( v1,[A-Za-z0-9+/=]+)*$"},
    ),
}


def webhooks(settings: Settings, components: Components, call: Schema) -> dict[str, Any]:
    """The `webhooks` of the document, an entry an event; `call` is the schema of a call as the API answers it."""
    schedule = ", ".join(f"{delay:g}" for delay in settings.webhook_retry_schedule)
    responses = {
        "2XX": {"description": f"Taken. Answer within {settings.webhook_timeout:g} seconds, body and all."},
        "default": {
            "description": f"Anything else, redirects too: sent again after {schedule} seconds, "
            "each counted from the end of the attempt before."
        },
    }
    return {
        event.value: {
            "post": {
                "operationId": _name(event),
                "tags": ["webhooks"],
                "summary": _WHEN[event],
                "security": [],
                "parameters": [
                    {"name": name, "in": "header", "required": True, "description": said, "schema": schema}
                    for name, (said, schema) in _HEADERS.items()
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": components.add(_name(event), _body(event, call)),
                            "example": orjson.loads(render(event, _SAMPLE_INSTANT, sample_data(event))),
                        }
                    },
                },
                "responses": responses,
            }
        }
        for event in EventType
    }


def _name(event: EventType) -> str:
    """`call.started` is `CallStartedEvent`."""
    return "".join(word.capitalize() for word in event.value.split(".")) + "Event"


def _body(event: EventType, call: Schema) -> Schema:
    """Exactly `event`, `timestamp`, `data`; more may come to `data` one day."""
    properties = {name: _fact(name, call) for name in sample_data(event)}
    return {
        "type": "object",
        "description": f"{_WHEN[event]}.",
        "properties": {
            "event": {"const": event.value},
            "timestamp": call["properties"]["createdAt"],
            "data": {"type": "object", "properties": properties, "required": list(properties)},
        },
        "required": ["event", "timestamp", "data"],
        "additionalProperties": False,
    }


def _fact(name: str, call: Schema) -> Schema:
    """What an event says under that name is what the call says; the rules know what of it may be null."""
    schema: Schema = call["properties"]["id" if name == "callId" else name]
    hints = {camel(fact): hint for fact, hint in get_type_hints(CallFacts).items()}
    if NoneType in get_args(hints.get(name)):
        return nullable(present(schema))
    if present(schema) == schema:
        return schema
    return {key: value for key, value in present(schema).items() if key != "description"}  # it speaks of null
