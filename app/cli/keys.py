"""`voxforge keys`: API keys."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.support import (
    AsJson,
    Data,
    InWorkspace,
    member_of,
    opened,
    print_listing,
    run,
    workspace_named,
    workspaces_named,
)

if TYPE_CHECKING:
    from schema.tables import ApiKey, Workspace

# ruff: noqa: PLC0415 (a command loads the database only when it runs)

commands = typer.Typer(no_args_is_help=True, help="API keys.")


@commands.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    workspace: InWorkspace = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="When it stops working: 2027-01-01 (the start of that day, UTC), or an instant."
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Make a key and print it, alone, on stdout: it is not kept and cannot be shown again."""
    key, id, place = run(_create(data, name, workspace, expires))
    typer.echo(f"Key {id} for the workspace {place}. It is shown only now:", err=True)
    typer.echo(key)


async def _create(data: Path | None, name: str, workspace: str | None, expires: str | None) -> tuple[str, str, str]:
    from schema.services import keys

    given = {"name": name, "expires_at": _instant(expires)}
    async with opened(data) as runtime:
        place = await workspace_named(runtime.snapshot(None), workspace)
        async with runtime.transaction(member_of(place)) as tx:
            row, key = await keys.create(tx, given)
    return key, row.id, place.name


def _instant(text: str | None) -> datetime | None:
    from schema.errors import Invalid
    from schema.rules.instants import parse_instant

    if text is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError:
        pass
    try:
        return parse_instant(text, "--expires")
    except Invalid:
        raise Invalid(
            "--expires must be a date such as 2027-01-01 or an instant such as 2027-01-01T09:00:00Z"
        ) from None


@commands.command("list")
def print_list(workspace: InWorkspace = None, as_json: AsJson = False, data: Data = None) -> None:
    """List the keys, those of every workspace unless one is named; the keys themselves are not kept."""
    print_listing(run(_list(data, workspace)), as_json=as_json, empty="There are no keys.")


async def _list(data: Path | None, workspace: str | None) -> list[dict[str, object]]:
    from schema.services import keys

    rows: list[dict[str, object]] = []
    async with opened(data) as runtime:
        for place in await workspaces_named(runtime.snapshot(None), workspace):
            found = await keys.everything(runtime.snapshot(member_of(place)))
            rows += [_listed(key, place, runtime.clock.now()) for key in found]
    return rows


def _listed(key: ApiKey, place: Workspace, now: datetime) -> dict[str, object]:
    expired = key.expires_at is not None and key.expires_at <= now
    return {
        "id": key.id,
        "name": key.name,
        "workspaceId": place.id,
        "key": f"{key.prefix}…{key.last_four}",
        "status": "revoked" if key.revoked_at else "expired" if expired else "active",
        "createdAt": key.created_at,
        "lastUsedAt": key.last_used_at,
        "expiresAt": key.expires_at,
        "revokedAt": key.revoked_at,
    }


@commands.command()
def revoke(id: Annotated[str, typer.Argument(help="The key's id.")], data: Data = None) -> None:
    """Refuse a key from now on."""
    name = run(_revoke(data, id))
    typer.echo(f"Key {id} ({name}) is revoked.", err=True)


async def _revoke(data: Path | None, id: str) -> str:
    from schema.errors import NotFound
    from schema.runtime import missing
    from schema.services import keys
    from schema.tables import ApiKey

    async with opened(data) as runtime:
        for place in await workspaces_named(runtime.snapshot(None), None):
            try:
                async with runtime.transaction(member_of(place)) as tx:
                    return (await keys.revoke(tx, id)).name
            except NotFound:
                continue  # it may be another workspace's
    raise missing(ApiKey, id)
