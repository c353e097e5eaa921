"""`voxforge contacts import`, on the data directory and over a server."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from schema.runtime import Runtime, Viewer
from schema.tables import Contact
from tests.app.cli.support import started, voxforge
from tests.app.support import serving
from tests.support import seeds
from tests.support.api import UNKNOWN, Api
from tests.support.runtime import settings_for

GOOD = "phone,name\n+15551230001,Ann\n+15551230002,Bob\n+15551230002,Bob again\n"
WRONG = "phone,name\n+15551230001,Ann\n12,Bob\n+15551230002,Bob,x\n"
TOLD = (
    "row 3: phoneNumber 12 must begin with a plus sign and the country code, such as +15551234567\n"
    "row 4: The row has 3 cells where the header has 2\n"
)
HINT = "Correct them, or import the others with --valid-rows.\n"
NOTHING = "2 of 3 rows are wrong, so nothing was imported.\n"


def file(text: str) -> str:
    path = Path("people.csv")
    path.write_text(text, newline="")
    return str(path)


def in_database(data: Path, workspace: str, work: Any) -> Any:
    """Something done in the workspace of the data directory."""

    async def run() -> Any:
        runtime = Runtime.open(settings_for(data))
        try:
            return await work(runtime, Viewer(workspace))
        finally:
            await runtime.close()

    return asyncio.run(run())


def names(data: Path, workspace: str) -> dict[str, str | None]:
    async def read(runtime: Runtime, viewer: Viewer) -> dict[str, str | None]:
        people = await runtime.snapshot(viewer).all(runtime.snapshot(viewer).select(Contact))
        return {person.phone_number: person.name for person in people}

    found: dict[str, str | None] = in_database(data, workspace, read)
    return found


# --- on the data directory ---


def test_a_file_becomes_contacts(migrated: Path, workspace: str) -> None:
    result = voxforge("contacts", "import", file(GOOD))

    said = "2 contacts imported, 0 there already, 1 repeated in the file, 0 wrong.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, said, "")
    assert names(migrated, workspace) == {"+15551230001": "Ann", "+15551230002": "Bob"}


def test_wrong_rows_are_told_by_their_numbers_and_nothing_is_imported(migrated: Path, workspace: str) -> None:
    result = voxforge("contacts", "import", file(WRONG))

    assert (result.exit_code, result.stdout, result.stderr) == (1, NOTHING, TOLD + HINT)
    assert names(migrated, workspace) == {}


def test_valid_rows_are_imported_when_that_is_wanted(migrated: Path, workspace: str) -> None:
    result = voxforge("contacts", "import", file(WRONG), "--valid-rows")

    said = "1 contact imported, 0 there already, 0 repeated in the file, 2 wrong.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, said, TOLD)
    assert names(migrated, workspace) == {"+15551230001": "Ann"}


def test_a_dry_run_says_what_would_be(migrated: Path, workspace: str) -> None:
    good = voxforge("contacts", "import", file(GOOD), "--dry-run")
    wrong = voxforge("contacts", "import", file(WRONG), "--dry-run")

    said = "2 contacts would be imported, 0 there already, 1 repeated in the file, 0 wrong.\n"
    assert (good.exit_code, good.stdout, good.stderr) == (0, said, "")
    said = "2 of 3 rows are wrong, so nothing would be imported.\n"
    assert (wrong.exit_code, wrong.stdout, wrong.stderr) == (1, said, TOLD + HINT)
    assert names(migrated, workspace) == {}


def test_into_a_campaign(migrated: Path, workspace: str) -> None:
    campaign = in_database(migrated, workspace, seeds.campaign)

    result = voxforge("contacts", "import", file(GOOD), "--campaign", campaign.id)
    again = voxforge("contacts", "import", file(GOOD), "--campaign", campaign.id)

    assert result.stdout.splitlines()[1] == "2 contacts enrolled in the campaign, 0 in it already."
    assert again.stdout.splitlines()[1] == "0 contacts enrolled in the campaign, 2 in it already."


def test_json_is_what_the_api_answers(workspace: str) -> None:
    result = voxforge("contacts", "import", file(WRONG), "--json")

    assert (result.exit_code, result.stderr) == (1, "")
    answer = json.loads(result.stdout)
    assert list(answer) == [
        "rows",
        "imported",
        "duplicatesInFile",
        "existing",
        "invalid",
        "errorCount",
        "errors",
        "enrolment",
    ]
    assert answer["errors"][1] == {"row": 4, "field": None, "message": "The row has 3 cells where the header has 2"}


def test_more_errors_than_are_told_one_by_one(workspace: str) -> None:
    result = voxforge("contacts", "import", file("phone\n" + "12\n" * 1_002))

    told = result.stderr.splitlines()
    assert (len(told), told[-2]) == (1_002, "and 2 more errors")


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        (GOOD, ("--campaign", UNKNOWN), f"Campaign with id {UNKNOWN} not found"),
        (GOOD, ("--workspace", "c0"), "Workspace with id c0 not found"),
        ("", (), "The file is empty"),
        ('phone\n"', (), "Row 2: a quotation mark opens a cell that never ends"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    migrated: Path, workspace: str, content: str, arguments: tuple[str, ...], says: str
) -> None:
    result = voxforge("contacts", "import", file(content), *arguments)

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{says}\n")
    assert names(migrated, workspace) == {}


def test_a_file_that_is_not_there(workspace: str) -> None:
    result = voxforge("contacts", "import", "nobody.csv")

    assert (result.exit_code, result.stderr) == (1, "nobody.csv: No such file or directory\n")


def test_of_several_workspaces_one_is_named(migrated: Path, workspace: str) -> None:
    other = voxforge("workspaces", "create", "--name", "Other", "--plan", "starter").stdout.strip()

    either = voxforge("contacts", "import", file(GOOD))
    one = voxforge("contacts", "import", file(GOOD), "--workspace", other)

    assert (either.exit_code, either.stderr) == (1, "There are 2 workspaces: name one with --workspace ID\n")
    assert one.exit_code == 0
    assert (len(names(migrated, workspace)), len(names(migrated, other))) == (0, 2)


def test_bars_are_drawn_on_a_terminal(elsewhere: Path, workspace: str) -> None:
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "app.cli", "contacts", "import", file(GOOD)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(end)
        drawn = b""
        try:
            while piece := os.read(terminal, 65_536):
                drawn += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        stdout = process.communicate()[0]
    os.close(terminal)

    assert (process.returncode, stdout.count(b"\n")) == (0, 1)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())
    assert re.search(r"Checking +━+ +3 rows", shown)
    assert re.search(r"Writing +━+ +2 rows", shown)


# --- over a server ---


async def tell(api: Api, cwd: Path, *arguments: str, app: Any = None, **given: str) -> tuple[int, str, str]:
    """The command, talking to the application: its exit status, stdout and stderr."""
    async with serving(app or api.app) as port:
        given = {"url": f"http://127.0.0.1:{port}/", "api_key": api.key, **given}
        with started(cwd, "contacts", "import", *arguments, **given) as process:
            status = await asyncio.to_thread(process.wait, 60)
            return status, process.stdout, process.stderr


async def test_over_a_server(api: Api, elsewhere: Path) -> None:
    campaign = await seeds.campaign(api.runtime, api.viewer)

    status, stdout, stderr = await tell(api, elsewhere, file(GOOD), "--campaign", campaign.id)

    assert (status, stderr) == (0, "")
    assert stdout.splitlines() == [
        "2 contacts imported, 0 there already, 1 repeated in the file, 0 wrong.",
        "2 contacts enrolled in the campaign, 0 in it already.",
    ]
    assert len((await api.get("/contacts")).json()) == 2


async def test_wrong_rows_are_told_over_a_server_too(api: Api, elsewhere: Path) -> None:
    assert await tell(api, elsewhere, file(WRONG)) == (1, NOTHING, TOLD + HINT)

    assert (await api.get("/contacts")).json() == []


async def test_valid_rows_over_a_server(api: Api, elsewhere: Path) -> None:
    status, stdout, stderr = await tell(api, elsewhere, file(WRONG), "--valid-rows", "--json")

    answer = json.loads(stdout)
    assert (status, stderr) == (1, "")
    assert (answer["imported"], answer["invalid"], len(answer["errors"])) == (1, 2, 2)


@pytest.mark.parametrize(
    ("content", "given", "says"),
    [
        (GOOD, {"api_key": "vf_live_no"}, "Missing or invalid API key"),
        (GOOD, {"api_key": ""}, "VOXFORGE_URL names a server, and VOXFORGE_API_KEY is not set: voxforge keys create"),
        (GOOD, {"url": "voice.example.com"}, "VOXFORGE_URL must be an address such as http://127.0.0.1:8000"),
        (GOOD, {"url": "http://127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached: "),
        ("name\n", {}, "The first row must name the columns, and one of them must be phoneNumber (or phone, mobile …)"),
        ("x" * (25 * 1024**2 + 1), {}, "The file is larger than 25 MiB: import it in parts"),
    ],
    ids=["key", "no key", "no address", "nobody", "header", "size"],
)
async def test_what_is_refused_over_a_server(
    api: Api, elsewhere: Path, content: str, given: dict[str, str], says: str
) -> None:
    status, stdout, stderr = await tell(api, elsewhere, file(content), **given)

    assert (status, stdout, stderr.count("\n")) == (1, "", 1)
    assert stderr.startswith(says)
    assert (await api.get("/contacts")).json() == []


async def test_another_kind_of_server(api: Api, elsewhere: Path) -> None:
    gateway = PlainTextResponse("Bad gateway", 502)

    said = await tell(api, elsewhere, file(GOOD), app=gateway)

    assert said == (1, "", "127.0.0.1 answered 502, and not as VoxForge does\n")


async def test_a_data_directory_that_is_named_is_meant(api: Api, elsewhere: Path, migrated: Path) -> None:
    status, _, stderr = await tell(api, elsewhere, file(GOOD), "--data", str(migrated))

    assert status == 1
    assert stderr.startswith("There is no workspace yet")
