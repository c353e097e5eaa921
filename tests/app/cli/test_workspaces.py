"""`voxforge workspaces`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.app.cli.support import listing, voxforge


def test_create_prints_the_id_alone(migrated: Path) -> None:
    result = voxforge("workspaces", "create", "--name", "Acme", "--plan", "business")

    assert result.exit_code == 0
    assert re.fullmatch(r"c[0-9a-z]{24}\n", result.stdout)
    (row,) = listing("workspaces", "list")
    assert row["id"] == result.stdout.strip()
    assert (row["name"], row["plan"]) == ("Acme", "business")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["createdAt"])
    assert list(row) == ["id", "name", "plan", "createdAt"]


@pytest.mark.parametrize("spelt", ["enterprise", "Enterprise"])
def test_set_plan(workspace: str, spelt: str) -> None:
    result = voxforge("workspaces", "set-plan", workspace, spelt)

    assert (result.exit_code, result.stdout) == (0, "")
    assert [row["plan"] for row in listing("workspaces", "list")] == ["enterprise"]


def test_the_listing_for_people_has_the_same_rows(workspace: str) -> None:
    result = voxforge("workspaces", "list")

    heading, row = result.stdout.splitlines()
    assert heading.split() == ["ID", "NAME", "PLAN", "CREATED", "AT"]
    assert row.split()[:3] == [workspace, "Acme", "professional"]


def test_an_empty_listing_is_empty(migrated: Path) -> None:
    assert voxforge("workspaces", "list").stdout == ""
    assert listing("workspaces", "list") == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("create", "--name", "Acme", "--plan", "gold"),
            "plan must be one of: starter, professional, business, enterprise",
        ),
        (("create", "--name", " ", "--plan", "starter"), "name must not be empty"),
        (("set-plan", "c0", "starter"), "Workspace with id c0 not found"),
        (("set-plan", "{workspace}", "gold"), "plan must be one of: starter, professional, business, enterprise"),
    ],
)
def test_a_bad_value_is_one_sentence(workspace: str, arguments: tuple[str, ...], says: str) -> None:
    before = listing("workspaces", "list")

    result = voxforge("workspaces", *(argument.format(workspace=workspace) for argument in arguments))

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{says}\n")
    assert listing("workspaces", "list") == before
