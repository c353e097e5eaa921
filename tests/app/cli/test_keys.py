"""`voxforge keys`."""

from __future__ import annotations

from pathlib import Path

import pytest

from schema.rules.keys import is_well_formed
from tests.app.cli.support import listing, voxforge


def test_create_prints_the_key_alone(workspace: str) -> None:
    result = voxforge("keys", "create", "--name", "CRM")

    key = result.stdout.removesuffix("\n")
    assert result.exit_code == 0
    assert is_well_formed(key)
    assert key not in result.stderr
    (row,) = listing("keys", "list")
    assert row == {
        "id": row["id"],
        "name": "CRM",
        "workspaceId": workspace,
        "key": f"{key[:12]}…{key[-4:]}",
        "status": "active",
        "createdAt": row["createdAt"],
        "lastUsedAt": None,
        "expiresAt": None,
        "revokedAt": None,
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2097-01-01", "2097-01-01T00:00:00Z"),
        ("2097-01-01T09:30:00+01:00", "2097-01-01T08:30:00Z"),
        ("2097-01-01T09:30:00Z", "2097-01-01T09:30:00Z"),
    ],
)
def test_a_key_may_expire(workspace: str, given: str, kept: str) -> None:
    assert voxforge("keys", "create", "--name", "CRM", "--expires", given).exit_code == 0

    assert [row["expiresAt"] for row in listing("keys", "list")] == [kept]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("soon", "--expires must be a date such as 2027-01-01 or an instant such as 2027-01-01T09:00:00Z"),
        (
            "2097-01-01T09:30:00",
            "--expires must be a date such as 2027-01-01 or an instant such as 2027-01-01T09:00:00Z",
        ),
        ("2020-01-01", "expiresAt must be in the future"),
    ],
)
def test_a_bad_expiry_makes_no_key(workspace: str, given: str, says: str) -> None:
    result = voxforge("keys", "create", "--name", "CRM", "--expires", given)

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{says}\n")
    assert listing("keys", "list") == []


def test_revoke(workspace: str) -> None:
    voxforge("keys", "create", "--name", "CRM")
    (row,) = listing("keys", "list")

    result = voxforge("keys", "revoke", row["id"])

    assert (result.exit_code, result.stdout) == (0, "")
    (revoked,) = listing("keys", "list")
    assert revoked["status"] == "revoked"
    assert revoked["revokedAt"] is not None


def test_an_unknown_key_cannot_be_revoked(workspace: str) -> None:
    result = voxforge("keys", "revoke", "c0")

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "API key with id c0 not found\n")


def test_without_a_workspace_there_is_no_key(migrated: Path) -> None:
    result = voxforge("keys", "create", "--name", "CRM")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There is no workspace yet: voxforge workspaces create --name NAME --plan professional\n"


def test_where_there_are_several_workspaces_one_is_named(workspace: str) -> None:
    other = voxforge("workspaces", "create", "--name", "Other", "--plan", "starter").stdout.strip()

    unnamed = voxforge("keys", "create", "--name", "CRM")
    voxforge("keys", "create", "--name", "CRM", "--workspace", other)
    voxforge("keys", "create", "--name", "Billing", "--workspace", workspace)

    assert (unnamed.exit_code, unnamed.stderr) == (1, "There are 2 workspaces: name one with --workspace ID\n")
    assert [row["name"] for row in listing("keys", "list", "--workspace", other)] == ["CRM"]
    assert {(row["name"], row["workspaceId"]) for row in listing("keys", "list")} == {
        ("CRM", other),
        ("Billing", workspace),
    }


def test_the_key_of_any_workspace_can_be_revoked(workspace: str) -> None:
    other = voxforge("workspaces", "create", "--name", "Other", "--plan", "starter").stdout.strip()
    voxforge("keys", "create", "--name", "CRM", "--workspace", other)
    voxforge("keys", "create", "--name", "Billing", "--workspace", workspace)
    (row,) = listing("keys", "list", "--workspace", other)

    voxforge("keys", "revoke", row["id"])

    assert {row["name"]: row["status"] for row in listing("keys", "list")} == {"CRM": "revoked", "Billing": "active"}
