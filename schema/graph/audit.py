"""The audit log in the graph."""

from __future__ import annotations

from typing import Any

import strawberry

from schema.graph.access import reads
from schema.graph.context import Info
from schema.graph.paging import Page
from schema.graph.scalars import AuditAction, AuditActor, DateTime, JSONObject
from schema.rules.audit import AUDIT_LIMIT
from schema.rules.scopes import Resource
from schema.services import audit


@strawberry.type(description="Who did what, and from where. It is never changed, and holds no secret.")
class AuditEntry:
    id: strawberry.ID
    action: AuditAction
    actor: AuditActor
    actor_id: strawberry.ID | None = strawberry.field(description="Of the key or the person; null for the system.")
    actor_name: str | None = strawberry.field(description="What they were called then.")
    address: str | None = strawberry.field(description="The client's IP address.")
    subject_id: strawberry.ID
    subject_name: str | None = strawberry.field(description="What it was called then.")
    changes: JSONObject | None = strawberry.field(
        description="By field, what it was before and what it is: `[before, after]`."
    )
    created_at: DateTime


@strawberry.type
class AuditQueries:
    @strawberry.field(
        graphql_type=Page[AuditEntry],
        permission_classes=reads(Resource.API_KEYS),
        description="Changes of keys, webhook endpoints, people and the plan, newest first, 50 at a time unless told.",
    )
    async def audit_log(self, info: Info, limit: int = AUDIT_LIMIT, offset: int | None = None) -> Any:
        return await audit.list_page(info.context.read(), limit=limit, offset=offset)
