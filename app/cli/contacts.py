"""`voxforge contacts`: people who can be called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.bars import Bars, bars
from app.cli.remote import Server, content, refusal
from app.cli.support import AsJson, Data, InWorkspace, member_of, opened, print_json, run, workspace_named
from app.failure import Failure

if TYPE_CHECKING:
    from schema.services.contact_import import ContactImport

# ruff: noqa: PLC0415 (a command loads the database only when it runs)

commands = typer.Typer(no_args_is_help=True, help="People who can be called.")

_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with the file."""

    mode: str
    campaign: str | None
    dry_run: bool


@commands.callback()
def everything() -> None:
    """Keeps `import` a command of its own."""


@commands.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV: a header with phoneNumber, then a row for each contact.")],
    *,
    campaign: Annotated[
        str | None, typer.Option(metavar="ID", help="Enrol the file's contacts in this campaign.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, and say what would be done.")] = False,
    valid_rows: Annotated[
        bool, typer.Option("--valid-rows", help="Import the good rows when others are wrong, in place of none.")
    ] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Import contacts from CSV.

    Into the data directory, or, where VOXFORGE_URL and VOXFORGE_API_KEY are set, over a running server. The exit status
    is 1 when rows are wrong.
    """
    server = None if data or workspace else Server.named()
    wish = Wish("valid-rows" if valid_rows else "all-or-nothing", campaign, dry_run)
    csv = file.read_bytes()
    with bars() as shown:
        answer = _sent(server, csv, wish, shown) if server else run(_imported(data, workspace, csv, wish, shown))
    if as_json:
        print_json(answer)
    else:
        _print(answer, wish)
    raise typer.Exit(1 if answer["invalid"] else 0)


async def _imported(data: Path | None, workspace: str | None, csv: bytes, wish: Wish, shown: Bars) -> dict[str, Any]:
    from schema.rules.contact_import import ImportMode
    from schema.rules.csv_text import decode
    from schema.services.contact_import import Stage, WrongRows, import_contacts

    def report(stage: Stage, done: int, total: int) -> None:
        shown.show(stage.capitalize(), done, total, f"{done:,} rows")

    async with opened(data) as runtime:
        viewer = member_of(await workspace_named(runtime.snapshot(None), workspace))
        try:
            result = await import_contacts(
                runtime.snapshot(viewer),
                partial(runtime.transaction, viewer),
                decode(csv),
                mode=ImportMode(wish.mode),
                dry_run=wish.dry_run,
                campaign_id=wish.campaign,
                report=report,
            )
        except WrongRows as refused:
            result = refused.found
    return _answer(result)


def _answer(result: ContactImport) -> dict[str, Any]:
    """As the API answers."""
    from dataclasses import asdict

    from schema.rules.fields import camel

    return {camel(name): value for name, value in asdict(result).items()}


def _sent(server: Server, csv: bytes, wish: Wish, shown: Bars) -> dict[str, Any]:
    """What the server answers; where it refuses wrong rows, what a dry run says of all of them."""
    from schema.rules.contact_import import MAX_BYTES

    if len(csv) > MAX_BYTES:
        raise Failure(f"The file is larger than {MAX_BYTES // 1024**2} MiB: import it in parts")
    params = {"mode": wish.mode, "dryRun": str(wish.dry_run).lower()}
    params |= {"campaignId": wish.campaign} if wish.campaign else {}
    headers = {"Content-Type": "text/csv", "Content-Length": str(len(csv))}
    response = server.post("/contacts/import", _pieces(csv, shown), headers, params)
    if response.status_code == 400 and not wish.dry_run:
        dry = server.post("/contacts/import", _pieces(csv, shown), headers, {**params, "dryRun": "true"})
        if not (dry.is_success and dry.json()["invalid"]):
            raise refusal(response)
        response = dry
    answer: dict[str, Any] = content(response)
    return answer


def _pieces(csv: bytes, shown: Bars) -> Iterator[bytes]:
    for start in range(0, len(csv), _PIECE):
        yield csv[start : start + _PIECE]
        done = min(start + _PIECE, len(csv))
        shown.show("Uploading", done, len(csv), f"{done / 1024**2:.1f} MiB")
    shown.show("Importing", 0, None)


def _print(answer: dict[str, Any], wish: Wish) -> None:
    for error in answer["errors"]:
        typer.echo(f"row {error['row']}: {error['message']}", err=True)
    if answer["errorCount"] > len(answer["errors"]):
        typer.echo(f"and {answer['errorCount'] - len(answer['errors']):,} more errors", err=True)
    invalid, imported, would = answer["invalid"], answer["imported"], "would be " if wish.dry_run else ""
    if invalid and wish.mode == "all-or-nothing":
        rows = f"{invalid:,} of {answer['rows']:,} rows"
        typer.echo(f"{rows} {'is' if invalid == 1 else 'are'} wrong, so nothing {would or 'was '}imported.")
        typer.echo("Correct them, or import the others with --valid-rows.", err=True)
        return
    counted = [
        f"{_contacts(imported)} {would}imported",
        f"{answer['existing']:,} there already",
        f"{answer['duplicatesInFile']:,} repeated in the file",
        f"{invalid:,} wrong",
    ]
    typer.echo(", ".join(counted) + ".")
    if answer["enrolment"]:
        enrolled, duplicates = answer["enrolment"]["enrolled"], answer["enrolment"]["duplicates"]
        typer.echo(f"{_contacts(enrolled)} {would}enrolled in the campaign, {duplicates:,} in it already.")


def _contacts(count: int) -> str:
    return f"{count:,} contact{'' if count == 1 else 's'}"
