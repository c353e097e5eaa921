"""What the rules say of the values in a body, as keywords of JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.json_body import INT64
from app.openapi.components import PHONE_NUMBER, Schema
from schema.rules import agents, appointments, calls, campaigns, contacts, endpoints, fields
from schema.rules.addresses import MAX_URL_LENGTH
from schema.rules.endpoints import DEFAULT_OVERLAP_S, OVERLAP_S, UrlCheck
from schema.rules.fields import (
    CONTROL,
    Check,
    Field,
    IntegerCheck,
    PatternCheck,
    Shape,
    TextCheck,
    camel,
)
from schema.rules.plans import Counted
from schema.rules.webhooks import EventType
from schema.rules.windows import CLOCK
from schema.settings import Settings

COUNTED: Mapping[str, Counted] = {
    "CreateAgentInput": Counted.AGENTS,
    "CreateContactInput": Counted.CONTACTS,
    "ImportContacts": Counted.CONTACTS,
    "CreateWebhookEndpointInput": Counted.WEBHOOK_ENDPOINTS,
}
"""The inputs, and the operation without one, that make what plans limit (decision K6)."""


class Facts:
    """What is known of each field of each input, under these settings."""

    def __init__(self, settings: Settings) -> None:
        endpoint = endpoints.endpoint(
            allow_http=settings.webhook_allow_http, allow_networks=settings.webhook_allow_networks
        )
        self.creates: Mapping[str, Shape] = {
            "CreateAgentInput": agents.AGENT,
            "CreateCampaignInput": campaigns.CAMPAIGN,
            "CreateCallInput": calls.PLACE,
            "CreateAppointmentInput": appointments.APPOINTMENT,
            "CreateContactInput": contacts.CONTACT,
            "AddDoNotCallInput": contacts.DO_NOT_CALL,
            "CreateWebhookEndpointInput": endpoint,
        }
        self.changes: Mapping[str, Shape] = {
            "UpdateAgentInput": agents.AGENT,
            "UpdateCampaignInput": campaigns.CAMPAIGN_CHANGES,
            "UpdateAppointmentInput": appointments.APPOINTMENT_CHANGES,
            "UpdateContactInput": contacts.CONTACT,
            "UpdateWebhookEndpointInput": endpoint,
        }

    def of(self, input: str, name: str) -> Schema:
        """Keywords for the field of that name, as JSON spells it, of the GraphQL input of that name."""
        if name in _PARTS.get(input, {}):
            return _PARTS[input][name]
        field = self.field(input, name)
        if field is None:
            return {}
        default = _default(field) if input in self.creates else None
        return keywords(field.check) | ({} if default is None else {"default": default})

    def field(self, input: str, name: str) -> Field | None:
        """The rule about a field, if it stands in a shape."""
        shape = self.creates.get(input) or self.changes.get(input)
        named = {camel(each): field for each, field in shape.fields.items()} if shape else {}
        return named.get(name)

    def about(self, input: str) -> Schema:
        """Keywords for the input itself."""
        return _WHOLE.get(input, {})


def keywords(check: Check) -> Schema:
    """What a check demands, beyond the type that the graph gives the value."""
    match check:
        case TextCheck(low=low, high=high, strip=strip):
            any_character = f"[^{CONTROL}]"
            pattern = rf"{any_character}*[^{CONTROL}\s]{any_character}*" if low and strip else f"{any_character}*"
            return ({"minLength": low} if low else {}) | {"maxLength": high, "pattern": f"^{pattern}$"}
        case PatternCheck(pattern=pattern, high=high):
            return {"maxLength": high, "pattern": f"^(?:{pattern})$"}
        case IntegerCheck(low=low, high=high):
            return {"minimum": low, "maximum": high}
        case UrlCheck(allow_http=allow_http):
            scheme = "https?" if allow_http else "https"
            return {"format": "uri", "maxLength": MAX_URL_LENGTH, "pattern": f"^{scheme}://"}
    return _FUNCTIONS.get(check, {})


def _default(field: Field) -> Any:
    default = field.default() if callable(field.default) else field.default
    return {camel(name): value for name, value in default.items()} if isinstance(default, dict) else default


_FUNCTIONS: Mapping[Callable[[Any, str], Any], Schema] = {
    fields.phone_number: {"description": "E.164.", **PHONE_NUMBER},
    agents.tools: {"maxItems": len(agents.TOOLS), "uniqueItems": True},
    endpoints.events: {"minItems": 1},
    contacts.zone_name: {"description": "An IANA time zone.", "examples": ["America/New_York"]},
    contacts.custom_fields: {
        "maxProperties": contacts.MAX_CUSTOM_FIELDS,
        "propertyNames": keywords(contacts.CUSTOM_NAME),
        "additionalProperties": {
            "type": ["string", "number", "boolean", "null"],
            **keywords(contacts.CUSTOM_TEXT),
            "minimum": -INT64,
            "exclusiveMaximum": INT64,
        },
    },
}

_CLOCK = {"pattern": f"^{CLOCK}$", "examples": ["09:00"]}
_MANY = {"maxItems": campaigns.MAX_ENROLLED_A_REQUEST}
_PARTS: Mapping[str, Mapping[str, Schema]] = {
    "CallWindowInput": {"start": _CLOCK, "end": _CLOCK},
    "RetryPolicyInput": {
        "maxAttempts": keywords(campaigns.ATTEMPTS),
        "delayMinutes": {"items": keywords(campaigns.DELAY_MINUTES), "maxItems": campaigns.ATTEMPTS.high - 1},
        "on": {"items": {"enum": list(campaigns.RETRIABLE)}, "default": list(campaigns.RETRIABLE)},
    },
    "CreateCampaignInput": {"contactIds": _MANY},
    "EnrolContactsInput": {"contactIds": _MANY, "contacts": _MANY, "all": {"description": "All that there are."}},
    "RotateWebhookSecretInput": {"overlapSeconds": {**keywords(OVERLAP_S), "default": DEFAULT_OVERLAP_S}},
    "RecoverDeliveriesInput": {
        "since": {"description": "The first instant of what was missed: not in the future, and no older than the log."},
        "until": {"description": "The last, inclusive; now unless told."},
    },
    "TriggerEventInput": {"event": {"description": "What happens; its data is made up."}},
    "TestWebhookEndpointInput": {"event": {"default": EventType.CALL_ENDED.value}},
}
_WHOLE: Mapping[str, Schema] = {
    "CallWindowInput": {"description": "The two must differ. A window may cross midnight."},
    "RetryPolicyInput": {"description": "At most one delay for each retry, and at least one if there are retries."},
    "EnrolContactsInput": {
        "description": f"Known contacts, new ones, or both, at most {campaigns.MAX_ENROLLED_A_REQUEST:,} together; "
        "or all that there are.",
        "anyOf": [
            *(
                {"required": [name], "properties": {name: {"minItems": 1}, "all": {"const": False}}}
                for name in ("contactIds", "contacts")
            ),
            {
                "required": ["all"],
                "properties": {"all": {"const": True}, "contactIds": {"maxItems": 0}, "contacts": {"maxItems": 0}},
            },
        ],
    },
}
