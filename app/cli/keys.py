"""`voxforge keys`: API keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

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
    from schema.rules.scopes import Scopes
    from schema.runtime import Transaction
    from schema.tables import ApiKey, Workspace

# ruff: noqa: PLC0415 (a command loads the database only when it runs)

Changed = TypeVar("Changed")

commands = typer.Typer(no_args_is_help=True, help="API keys.")


@commands.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    workspace: InWorkspace = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="RESOURCE:ACCESS", help="What it may do: calls:write. Unless given, all but manage keys."),
    ] = None,
    allow_ip: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="From where: an IP address or a CIDR range. Unless given, from anywhere."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="When it stops working: 2027-01-01 (the start of that day, UTC), or an instant."
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Make a key and print it, alone, on stdout: it is not kept and cannot be shown again."""
    key, id, place = run(_create(data, name=name, workspace=workspace, scope=scope, allow_ip=allow_ip, expires=expires))
    typer.echo(f"Key {id} for the workspace {place}. It is shown only now:", err=True)
    typer.echo(key)


async def _create(
    data: Path | None,
    *,
    name: str,
    workspace: str | None,
    scope: list[str] | None,
    allow_ip: list[str] | None,
    expires: str | None,
) -> tuple[str, str, str]:
    from schema.rules.scopes import parse_scope
    from schema.services import keys

    given: dict[str, object] = {"name": name, "expires_at": _instant(expires), "allowed_ips": allow_ip or None}
    if scope:
        given["scopes"] = [parse_scope(text, "--scope") for text in scope]
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
    rows = run(_list(data, workspace))
    if not as_json:
        rows = [_in_columns(row) for row in rows]
    print_listing(rows, as_json=as_json, empty="There are no keys.")


async def _list(data: Path | None, workspace: str | None) -> list[dict[str, Any]]:
    from schema.services import keys

    rows: list[dict[str, Any]] = []
    async with opened(data) as runtime:
        for place in await workspaces_named(runtime.snapshot(None), workspace):
            found = await keys.everything(runtime.snapshot(member_of(place)))
            rows += [_listed(key, place, runtime.clock.now()) for key in found]
    return rows


def _listed(key: ApiKey, place: Workspace, now: datetime) -> dict[str, Any]:
    expired = key.expires_at is not None and key.expires_at <= now
    return {
        "id": key.id,
        "name": key.name,
        "workspaceId": place.id,
        "key": f"{key.prefix}…{key.last_four}",
        "status": "revoked" if key.revoked_at else "expired" if expired else "active",
        "scopes": _written(key.scopes),
        "allowedIps": key.allowed_ips,
        "createdAt": key.created_at,
        "lastUsedAt": key.last_used_at,
        "expiresAt": key.expires_at,
        "revokedAt": key.revoked_at,
    }


def _in_columns(row: dict[str, Any]) -> dict[str, Any]:
    scopes, allowed = ",".join(row["scopes"]), row["allowedIps"]
    return row | {
        "scopes": "default" if scopes == ",".join(_written(None)) else scopes,
        "allowedIps": ",".join(allowed) if allowed else "any",
    }


def _written(scopes: Scopes | None) -> list[str]:
    from schema.rules.scopes import effective

    return [f"{resource}:{access}" for resource, access in effective(scopes).items()]


@commands.command()
def rotate(
    id: Annotated[str, typer.Argument(help="The key's id.")],
    overlap: Annotated[
        str, typer.Option(metavar="HOW LONG", help="How long the old key is good: 30m, 2h, up to 24h; 0: not at all.")
    ] = "24h",
    data: Data = None,
) -> None:
    """Give a key a new text and print it, alone, on stdout; id, name, scopes and addresses stay."""
    name, key, until = run(_rotate(data, id, _seconds(overlap)))
    old = f"The old one is good until {until}." if until else "The old one is refused from now on."
    typer.echo(f"Key {id} ({name}) is rotated. {old} The new one is shown only now:", err=True)
    typer.echo(key)


async def _rotate(data: Path | None, id: str, overlap_s: int) -> tuple[str, str, str | None]:
    from schema.rules.instants import format_instant
    from schema.services import keys

    rotated = await _with_key(data, id, partial(keys.rotate, overlap_seconds=overlap_s))
    until = rotated.previous_key_expires_at
    return rotated.api_key.name, rotated.key, format_instant(until) if until else None


def _seconds(text: str) -> int:
    """Seconds of an overlap as it is typed. Raises Invalid."""
    from schema.errors import Invalid
    from schema.rules.keys import MAX_OVERLAP_S

    found = re.fullmatch(r"0|([0-9]{1,6})([hms])", text, re.ASCII)
    seconds = int(found[1]) * {"h": 3600, "m": 60, "s": 1}[found[2]] if found and found[1] else 0
    if found is None or seconds > MAX_OVERLAP_S:
        raise Invalid(f"--overlap must be a duration such as 30m, 2h or 0, at most {MAX_OVERLAP_S // 3600}h")
    return seconds


@commands.command()
def revoke(id: Annotated[str, typer.Argument(help="The key's id.")], data: Data = None) -> None:
    """Refuse a key from now on."""
    name = run(_revoke(data, id))
    typer.echo(f"Key {id} ({name}) is revoked.", err=True)


async def _revoke(data: Path | None, id: str) -> str:
    from schema.services import keys

    return (await _with_key(data, id, keys.revoke)).name


async def _with_key(
    data: Path | None, id: str, verb: Callable[[Transaction, str], Coroutine[Any, Any, Changed]]
) -> Changed:
    """What `verb` makes of the key with that id, whichever workspace has it. Raises NotFound."""
    from schema.errors import NotFound
    from schema.runtime import missing
    from schema.tables import ApiKey

    async with opened(data) as runtime:
        for place in await workspaces_named(runtime.snapshot(None), None):
            try:
                async with runtime.transaction(member_of(place)) as tx:
                    return await verb(tx, id)
            except NotFound:
                continue  # it may be another workspace's
    raise missing(ApiKey, id)
