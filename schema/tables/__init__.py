"""The SQLModel tables, a file a noun; importing this package makes them all known to `metadata`."""

from schema.tables.agents import Agent
from schema.tables.appointments import Appointment
from schema.tables.audit import AuditEntry
from schema.tables.base import Job, Owned, SoftDeleted, Table
from schema.tables.calls import Call, CallAttempt
from schema.tables.campaigns import Campaign, CampaignContact, Dialer
from schema.tables.contacts import Contact, DoNotCall
from schema.tables.idempotency import IdempotencyKey
from schema.tables.keys import ApiKey, RetiredApiKey
from schema.tables.phone_numbers import PhoneNumber
from schema.tables.sessions import Session
from schema.tables.webhooks import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from schema.tables.workspaces import User, Workspace

__all__ = [
    "Agent",
    "ApiKey",
    "Appointment",
    "AuditEntry",
    "Call",
    "CallAttempt",
    "Campaign",
    "CampaignContact",
    "Contact",
    "Delivery",
    "DeliveryAttempt",
    "Dialer",
    "DoNotCall",
    "Event",
    "IdempotencyKey",
    "Job",
    "Owned",
    "PhoneNumber",
    "RetiredApiKey",
    "Session",
    "SoftDeleted",
    "Table",
    "User",
    "WebhookEndpoint",
    "Workspace",
]
