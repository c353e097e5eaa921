"""Appointments in the graph."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry import Maybe

from schema.graph.access import reads, writes
from schema.graph.calls import Call
from schema.graph.contacts import Contact
from schema.graph.context import Info
from schema.graph.inputs import given
from schema.graph.paging import Page
from schema.graph.scalars import AppointmentStatus, DateOrDateTime, DateTime
from schema.rules.paging import LIMIT
from schema.rules.scopes import Resource
from schema.services import appointments
from schema.tables import Appointment as AppointmentRow
from schema.tables import Call as CallRow
from schema.tables import Contact as ContactRow


@strawberry.type(description="A meeting with a contact.")
class Appointment:
    id: strawberry.ID
    contact_id: strawberry.ID
    call_id: strawberry.ID | None = strawberry.field(description="The call in which an agent booked it.")
    title: str
    notes: str | None
    status: AppointmentStatus
    start_time: DateTime
    end_time: DateTime
    created_at: DateTime
    updated_at: DateTime

    @strawberry.field(graphql_type=Contact | None, permission_classes=reads(Resource.CONTACTS))
    async def contact(self, info: Info, root: strawberry.Parent[AppointmentRow]) -> Any:
        return await info.context.row(ContactRow, root.contact_id)

    @strawberry.field(graphql_type=Call | None, permission_classes=reads(Resource.CALLS))
    async def call(self, info: Info, root: strawberry.Parent[AppointmentRow]) -> Any:
        return await info.context.row(CallRow, root.call_id)


@strawberry.input
class CreateAppointmentInput:
    contact_id: strawberry.ID
    start_time: DateTime
    end_time: DateTime
    title: str
    notes: Maybe[str | None]


@strawberry.input
class UpdateAppointmentInput:
    status: Maybe[AppointmentStatus]
    start_time: Maybe[DateTime]
    end_time: Maybe[DateTime]
    title: Maybe[str]
    notes: Maybe[str | None]


@strawberry.type
class AppointmentQueries:
    @strawberry.field(
        graphql_type=Page[Appointment],
        permission_classes=reads(Resource.APPOINTMENTS),
        description="Appointments, earliest first. `from` and `to` bound `startTime`, inclusive.",
    )
    async def appointments(
        self,
        info: Info,
        *,
        limit: int | None = LIMIT,
        offset: int | None = None,
        status: AppointmentStatus | None = None,
        contact_id: strawberry.ID | None = None,
        start: Annotated[DateOrDateTime | None, strawberry.argument(name="from")] = None,
        end: Annotated[DateOrDateTime | None, strawberry.argument(name="to")] = None,
    ) -> Any:
        return await appointments.list_page(
            info.context.read(),
            limit=limit,
            offset=offset,
            status=status,
            contact_id=contact_id,
            start=start,
            end=end,
        )

    @strawberry.field(
        graphql_type=Appointment | None, permission_classes=reads(Resource.APPOINTMENTS), description="One appointment."
    )
    async def appointment(self, info: Info, id: strawberry.ID) -> Any:
        return await appointments.get(info.context.read(), id)


@strawberry.type
class AppointmentMutations:
    @strawberry.mutation(
        graphql_type=Appointment,
        permission_classes=writes(Resource.APPOINTMENTS),
        description="Make a confirmed appointment.",
    )
    async def create_appointment(self, info: Info, input: CreateAppointmentInput) -> Any:
        async with info.context.write() as tx:
            return await appointments.create(tx, given(input))

    @strawberry.mutation(
        graphql_type=Appointment,
        permission_classes=writes(Resource.APPOINTMENTS),
        description="Change the fields sent; all statuses but confirmed are final.",
    )
    async def update_appointment(self, info: Info, id: strawberry.ID, input: UpdateAppointmentInput) -> Any:
        async with info.context.write() as tx:
            return await appointments.update(tx, id, given(input))
