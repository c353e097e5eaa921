"""What the audit log records: changes of who may do what, and of where events go."""

from __future__ import annotations

from enum import StrEnum

AUDIT_LIMIT = 50  # entries, unless told


class Actor(StrEnum):
    """Who acted: a key, a person, or whoever has the server itself (the command line, the system)."""

    API_KEY = "api-key"
    USER = "user"
    SYSTEM = "system"


class Action(StrEnum):
    """What was done; the word before the dot is what `subjectId` is the id of."""

    API_KEY_CREATED = "api-key.created"
    API_KEY_UPDATED = "api-key.updated"
    API_KEY_ROTATED = "api-key.rotated"
    API_KEY_REVOKED = "api-key.revoked"
    WEBHOOK_ENDPOINT_CREATED = "webhook-endpoint.created"
    WEBHOOK_ENDPOINT_UPDATED = "webhook-endpoint.updated"
    WEBHOOK_ENDPOINT_DELETED = "webhook-endpoint.deleted"
    WEBHOOK_ENDPOINT_SECRET_ROTATED = "webhook-endpoint.secret-rotated"  # noqa: S105 (not a secret)
    WEBHOOK_ENDPOINT_DISABLED = "webhook-endpoint.disabled"
    WORKSPACE_PLAN_CHANGED = "workspace.plan-changed"
    USER_CREATED = "user.created"
    USER_UPDATED = "user.updated"
    USER_REMOVED = "user.removed"
    USER_SIGNED_IN = "user.signed-in"
    USER_PASSWORD_CHANGED = "user.password-changed"  # noqa: S105 (not a password)
    USER_PASSWORD_RESET = "user.password-reset"  # noqa: S105 (not a password)
