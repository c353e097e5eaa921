"""Scalars and enums of the graph: how instants, event types and tools are written."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NewType

import strawberry

from schema.rules import appointments, calls, campaigns, contacts, plans, webhooks
from schema.rules.instants import format_instant, parse_instant

DateTime = NewType("DateTime", datetime)
DateOrDateTime = NewType("DateOrDateTime", str)
EventType = NewType("EventType", str)
AgentTool = NewType("AgentTool", object)
JSONObject = NewType("JSONObject", dict)  # type: ignore[type-arg]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


def _tool(value: Any) -> str | dict[str, Any]:
    if not isinstance(value, str | dict):
        raise ValueError("must be a tool's name, or an object with its name and settings")
    return value


SCALARS = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="An instant in UTC, whole seconds: `2025-01-15T14:23:00Z`. Inputs take any ISO 8601 instant with an "
        "offset or `Z`.",
        serialize=format_instant,
        parse_value=lambda value: parse_instant(value, "the value"),
    ),
    DateOrDateTime: strawberry.scalar(
        name="DateOrDateTime",
        description="A bare date (a whole UTC day) or an ISO 8601 instant with an offset or `Z`.",
        serialize=_text,
        parse_value=_text,
    ),
    EventType: strawberry.scalar(
        name="EventType",
        description="A webhook event's type: " + ", ".join(f"`{event.value}`" for event in webhooks.EventType) + ".",
        serialize=str,
        parse_value=_text,
    ),
    AgentTool: strawberry.scalar(
        name="AgentTool",
        description="A tool an agent can use in a call: `book_appointment`, `do_not_call`, `end_call`, or "
        '`{"name": "transfer", "to": "+15551234567"}`.',
        serialize=lambda value: value,
        parse_value=_tool,
    ),
    JSONObject: strawberry.scalar(
        name="JSONObject",
        description="A JSON object.",
        serialize=lambda value: value,
        parse_value=_object,
    ),
}

CallStatus = strawberry.enum(calls.CallStatus, description="`queued` → `in-progress` → `completed` or `failed`.")
CallDirection = strawberry.enum(calls.CallDirection, description="Who called whom.")
AnsweredBy = strawberry.enum(calls.AnsweredBy, description="What picked up.")
Sentiment = strawberry.enum(calls.Sentiment, description="How the callee felt.")
Role = strawberry.enum(calls.Role, name="TranscriptRole", description="Who a line of a transcript belongs to.")
Outcome = strawberry.enum(calls.Outcome, name="CallOutcome", description="How a call went for the business.")
EndReason = strawberry.enum(calls.EndReason, description="Why a call ended, technically.")
CampaignStatus = strawberry.enum(campaigns.CampaignStatus, description="active ⇄ paused → completed or cancelled.")
CampaignContactStatus = strawberry.enum(
    campaigns.CampaignContactStatus, description="How far a campaign has got with one contact."
)
AppointmentStatus = strawberry.enum(appointments.AppointmentStatus, description="All but confirmed are final.")
DeliveryState = strawberry.enum(webhooks.DeliveryState, description="Where a delivery stands.")
AttemptTrigger = strawberry.enum(webhooks.AttemptTrigger, description="Why a request was sent.")
ErrorClass = strawberry.enum(
    webhooks.ErrorClass, name="DeliveryErrorClass", description="Why an attempt has no status."
)
DoNotCallSource = strawberry.enum(contacts.DoNotCallSource, description="How a number came to the list.")
Plan = strawberry.enum(plans.Plan, description="What a workspace pays for.")
