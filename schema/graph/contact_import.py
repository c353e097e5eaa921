"""Importing contacts in the graph."""

from __future__ import annotations

from typing import Any

import strawberry

from schema.graph.access import require_access, writes
from schema.graph.context import Info
from schema.graph.scalars import ImportMode
from schema.rules.contact_import import MAX_ERRORS, MAX_ROWS
from schema.rules.scopes import Access, Resource
from schema.services.contact_import import import_contacts


@strawberry.type(description="What is wrong in a file of contacts.")
class ContactImportError:
    row: int = strawberry.field(description="As a spreadsheet counts them: the header is row 1.")
    field: str | None = strawberry.field(description="The contact's field; null where the row as a whole is wrong.")
    message: str


@strawberry.type(description="What became of a file's contacts in a campaign.")
class ContactImportEnrolment:
    enrolled: int = strawberry.field(description="Contacts added to the campaign.")
    duplicates: int = strawberry.field(description="Contacts that were enrolled already.")


@strawberry.type(description="What an import did or, for a dry run, would do.")
class ContactImport:
    rows: int = strawberry.field(description="Rows that are not empty, without the header.")
    imported: int = strawberry.field(description="Contacts made.")
    duplicates_in_file: int = strawberry.field(description="Rows with the number of a row before.")
    existing: int = strawberry.field(description="Rows with the number of a contact that was there; it stays as it is.")
    invalid: int = strawberry.field(description="Rows in which something is wrong.")
    error_count: int = strawberry.field(description="Everything that is wrong; a row may have several errors.")
    errors: list[ContactImportError] = strawberry.field(description=f"The first {MAX_ERRORS:,}.")
    enrolment: ContactImportEnrolment | None = strawberry.field(description="Null when no campaign was given.")


@strawberry.type
class ContactImportMutations:
    @strawberry.mutation(
        graphql_type=ContactImport,
        permission_classes=writes(Resource.CONTACTS),
        description=f"Import contacts from CSV. Up to {MAX_ROWS:,} rows below a header that names the columns: "
        "phoneNumber, and as you like name, email, timezone and notes; other columns become custom fields. "
        "A number that a contact has already is counted, and the contact stays as it is. With a campaign, all of the "
        "file's contacts are enrolled in it. A dry run changes nothing and tells everything that is wrong.",
    )
    async def import_contacts(
        self,
        info: Info,
        csv: str,
        mode: ImportMode = ImportMode.ALL_OR_NOTHING,
        dry_run: bool = False,
        campaign_id: strawberry.ID | None = None,
    ) -> Any:
        context = info.context
        if campaign_id is not None:
            require_access(Resource.CAMPAIGNS, Access.WRITE, context.viewer)
        return await import_contacts(
            context.read(), context.write, csv, mode=mode, dry_run=dry_run, campaign_id=campaign_id
        )
