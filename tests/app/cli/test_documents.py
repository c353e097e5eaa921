"""`voxforge --version`, `openapi` and `schema`, and what they load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from schema.version import VERSION
from tests.app.cli.support import voxforge

SERVERS = {"uvicorn", "starlette", "strawberry", "dramatiq", "aiohttp", "workers", "app.main"}


def test_version() -> None:
    result = voxforge("--version")

    assert (result.exit_code, result.stdout) == (0, f"voxforge {VERSION}\n")


def test_schema_prints_the_schema() -> None:
    result = voxforge("schema")

    assert result.exit_code == 0
    assert result.stdout == (Path(__file__).parents[3] / "schema" / "schema.graphql").read_text()


def test_openapi_prints_the_document() -> None:
    result = voxforge("openapi")

    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/calls" in "".join([*document["paths"], document.get("servers", [{}])[0].get("url", "")])


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (["--version"], SERVERS | {"sqlalchemy", "pydantic", "phonenumbers", "structlog", "rich"}),
        (["keys", "--help"], SERVERS | {"sqlalchemy", "phonenumbers", "structlog"}),
        (["keys", "list"], SERVERS | {"alembic", "redis", "argon2"}),
    ],
)
def test_a_command_loads_only_what_it_needs(migrated: Path, command: list[str], unwanted: set[str]) -> None:
    program = (
        "import sys\n"
        "from app.cli.root import commands\n"
        "try:\n    commands(sys.argv[1:])\n"
        "finally:\n    sys.stderr.write('\\n'.join(sys.modules))\n"
    )

    loaded = subprocess.run([sys.executable, "-c", program, *command], check=True, capture_output=True, text=True)

    assert unwanted & set(loaded.stderr.splitlines()) == set()
