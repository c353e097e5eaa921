"""What the commands share: options, the runtime on the data directory, and listings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from app.failure import MIGRATE_FIRST, Failure

if TYPE_CHECKING:
    from schema.runtime import Reads, Runtime, Viewer
    from schema.settings import Settings
    from schema.tables import Workspace

# ruff: noqa: PLC0415 (a command loads the database only when it runs, or `voxforge --help` would take a second)

T = TypeVar("T")

Data: TypeAlias = Annotated[
    Path | None, typer.Option(help="The data directory; VOXFORGE_DATA or ./var unless given.", show_default=False)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
InWorkspace: TypeAlias = Annotated[
    str | None, typer.Option("--workspace", metavar="ID", help="The workspace, where there are several.")
]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end."""
    return asyncio.run(work)


@asynccontextmanager
async def opened(data: Path | None) -> AsyncIterator[Runtime]:
    """A runtime on the data directory, which must have been migrated. Raises SettingsError, Failure."""
    from app import logs
    from schema.runtime import Runtime
    from schema.settings import load_settings

    settings = load_settings(data=data)
    logs.configure(settings.log_format, level="WARNING")  # to stderr: stdout is for what was asked for
    require_database(settings)
    runtime = Runtime.open(settings)
    try:
        yield runtime
    finally:
        await runtime.close()


def require_database(settings: Settings) -> None:
    """Raises Failure where there is no database file yet; connecting would leave an empty one behind."""
    if settings.dialect == "sqlite" and not settings.sqlite_path.exists():
        raise Failure(f"There is no database at {settings.sqlite_path.resolve()}. {MIGRATE_FIRST}")


async def workspace_named(tx: Reads, id: str | None) -> Workspace:
    """The workspace that `--workspace` names, or the only one. Raises NotFound, Invalid."""
    from schema.services import workspaces

    return await workspaces.find(tx, id) if id is not None else await workspaces.only(tx)


async def workspaces_named(tx: Reads, id: str | None) -> list[Workspace]:
    """The workspace that `--workspace` names, or all of them. Raises NotFound."""
    from schema.services import workspaces

    return [await workspaces.find(tx, id)] if id is not None else await workspaces.everything(tx)


def member_of(workspace: Workspace) -> Viewer:
    """Somebody who sees that workspace's rows."""
    from schema.runtime import Viewer

    return Viewer(workspace.id, workspace.plan)


def print_listing(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """The rows as JSON, or as columns with the fields' names above; `empty` (on stderr) when there are none."""
    if as_json:
        print_json([{name: _plain(value) for name, value in row.items()} for row in rows])
        return
    if not rows:
        typer.echo(empty, err=True)
        return
    lines = [[_heading(name) for name in rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_json(value: object) -> None:
    """The value as JSON, for people and programs."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _plain(value: object) -> object:
    from schema.rules.instants import format_instant

    return format_instant(value) if isinstance(value, datetime) else value


def _heading(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).upper()


def _cell(value: object) -> str:
    return "-" if value is None else str(_plain(value))
