"""Scalars and enums of the graph: how instants, event types and tools are written."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

import strawberry

from schema.rules.appointments import AppointmentStatus
from schema.rules.audit import Action as AuditAction
from schema.rules.audit import Actor as AuditActor
from schema.rules.calls import AnsweredBy, CallDirection, CallStatus, EndReason, Outcome, Role, Sentiment, WaitReason
from schema.rules.campaigns import CampaignContactStatus, CampaignStatus
from schema.rules.contact_import import ImportMode
from schema.rules.contacts import DoNotCallSource
from schema.rules.instants import format_instant, parse_instant
from schema.rules.plans import Plan
from schema.rules.scopes import Access, Resource
from schema.rules.webhooks import AttemptTrigger, DeliveryState, ErrorClass
from schema.rules.webhooks import EventType as EventTypeRule

DateTime = NewType("DateTime", datetime)
DateOrDateTime = NewType("DateOrDateTime", str)
EventType = NewType("EventType", str)
AgentTool = NewType("AgentTool", object)
JSONObject = NewType("JSONObject", dict)  # type: ignore[type-arg]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("must be an object")
    return value


def _tool(value: Any) -> str | dict[str, Any]:
    if not isinstance(value, str | dict):
        raise TypeError("must be a tool's name, or an object with its name and settings")
    return value


SCALARS: dict[object, Any] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="An instant in UTC, whole seconds: `2025-01-15T14:23:00Z`. "
        "Inputs take any ISO 8601 instant with an offset or `Z`.",
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
        description="A webhook event's type: " + ", ".join(f"`{event.value}`" for event in EventTypeRule) + ".",
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

_ENUMS: tuple[tuple[type[StrEnum], str, str], ...] = (
    (CallStatus, "CallStatus", "`queued` → `in-progress` → `completed` or `failed`."),
    (CallDirection, "CallDirection", "Who called whom."),
    (AnsweredBy, "AnsweredBy", "What picked up."),
    (Sentiment, "Sentiment", "How the callee felt."),
    (Role, "TranscriptRole", "Who a line of a transcript belongs to."),
    (Outcome, "CallOutcome", "How a call went for the business."),
    (EndReason, "EndReason", "Why a call ended, technically."),
    (WaitReason, "WaitReason", "Why a call or a contact is not dialed now."),
    (CampaignStatus, "CampaignStatus", "active ⇄ paused → completed or cancelled."),
    (CampaignContactStatus, "CampaignContactStatus", "How far a campaign has got with one contact."),
    (AppointmentStatus, "AppointmentStatus", "All but confirmed are final."),
    (DeliveryState, "DeliveryState", "Where a delivery stands."),
    (AttemptTrigger, "AttemptTrigger", "Why a request was sent."),
    (ErrorClass, "DeliveryErrorClass", "Why an attempt has no status."),
    (DoNotCallSource, "DoNotCallSource", "How a number came to the list."),
    (ImportMode, "ImportMode", "What becomes of the good rows of a file in which others are wrong."),
    (Plan, "Plan", "What a workspace pays for."),
    (Resource, "Resource", "What a key's scopes are about."),
    (Access, "Access", "How far a scope reaches; write includes read."),
    (AuditActor, "AuditActor", "Who acted: a key, a person, or whoever has the server itself."),
    (AuditAction, "AuditAction", "What was done; `subjectId` is the id of what the first words name."),
)
for _kind, _name, _description in _ENUMS:
    strawberry.enum(_kind, name=_name, description=_description)

__all__ = [
    "SCALARS",
    "Access",
    "AgentTool",
    "AnsweredBy",
    "AppointmentStatus",
    "AttemptTrigger",
    "AuditAction",
    "AuditActor",
    "CallDirection",
    "CallStatus",
    "CampaignContactStatus",
    "CampaignStatus",
    "DateOrDateTime",
    "DateTime",
    "DeliveryState",
    "DoNotCallSource",
    "EndReason",
    "ErrorClass",
    "EventType",
    "ImportMode",
    "JSONObject",
    "Outcome",
    "Plan",
    "Resource",
    "Role",
    "Sentiment",
    "WaitReason",
]
