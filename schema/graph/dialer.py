"""The dialer in the graph: slots used, and what waits."""

from __future__ import annotations

from typing import Any

import strawberry

from schema.graph.access import reads
from schema.graph.context import Info
from schema.graph.scalars import DateTime
from schema.rules.scopes import Resource
from schema.services import slots


@strawberry.type(description="How busy the workspace is: its slots, which are its calls under way, and what waits.")
class Dialer:
    slots_used: int = strawberry.field(description="Calls under way.")
    slots_total: int = strawberry.field(description="Calls at the same time that the plan allows.")
    calls_queued: int = strawberry.field(description="Calls about to be dialed.")
    calls_waiting: int = strawberry.field(description="Calls that wait; each says for what.")
    oldest_due_at: DateTime | None = strawberry.field(
        description="Since when the oldest due work of calls and deliveries has waited for a worker; null: none is due."
    )
    next_look_at: DateTime | None = strawberry.field(
        description="When the dialer looks again by itself; null: nobody waits. What happens meanwhile wakes it."
    )


@strawberry.type
class DialerQueries:
    @strawberry.field(
        graphql_type=Dialer, permission_classes=reads(Resource.CALLS), description="How busy the workspace is."
    )
    async def dialer(self, info: Info) -> Any:
        return await slots.report(info.context.read())
