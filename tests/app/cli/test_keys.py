"""`voxforge keys`."""

from __future__ import annotations

from pathlib import Path

import pytest

from schema.rules.keys import is_well_formed
from schema.rules.scopes import Resource
from tests.app.cli.support import listing, voxforge

DEFAULT = [
    "agents:write",
    "campaigns:write",
    "calls:write",
    "appointments:write",
    "contacts:write",
    "phone-numbers:write",
    "webhooks:write",
]


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
        "scopes": DEFAULT,
        "allowedIps": None,
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


def test_a_key_of_some_scopes_and_addresses(workspace: str) -> None:
    """K2, K3."""
    limits = ["--scope", "calls:write", "--scope", "agents:read", "--allow-ip", "10.0.0.0/8", "--allow-ip", "::1"]
    result = voxforge("keys", "create", "--name", "CRM", *limits)

    assert result.exit_code == 0
    (row,) = listing("keys", "list")
    assert (row["scopes"], row["allowedIps"]) == (["agents:read", "calls:write"], ["10.0.0.0/8", "::1"])


def test_a_listing_for_people_says_it_in_a_line(workspace: str) -> None:
    voxforge("keys", "create", "--name", "Sync")
    voxforge("keys", "create", "--name", "CRM", "--scope", "calls:write", "--allow-ip", "10.0.0.1")

    heading, limited, free = voxforge("keys", "list").stdout.splitlines()

    assert "  SCOPES  " in heading
    assert "  active  calls:write  10.0.0.1     " in limited
    assert "  active  default      any          " in free


@pytest.mark.parametrize(
    ("option", "given", "says"),
    [
        ("--scope", "calls", "--scope must be a resource and an access such as calls:write"),
        (
            "--scope",
            "call:write",
            f"--scope must name a resource, one of: {', '.join(each.value for each in Resource)}",
        ),
        ("--scope", "calls:all", "--scope must give none, read or write of calls"),
        (
            "--allow-ip",
            "10.0.0.1/8",
            "allowedIps must be an IP address or a CIDR range such as 10.0.0.0/8, without host bits",
        ),
    ],
)
def test_a_bad_limit_makes_no_key(workspace: str, option: str, given: str, says: str) -> None:
    result = voxforge("keys", "create", "--name", "CRM", option, given)

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{says}\n")
    assert listing("keys", "list") == []


@pytest.mark.parametrize("overlap", [["--overlap", "30m"], ["--overlap", "0"], []])
def test_rotate_prints_the_new_key_alone(workspace: str, overlap: list[str]) -> None:
    """K4."""
    old = voxforge("keys", "create", "--name", "CRM", "--scope", "calls:read").stdout.strip()
    (before,) = listing("keys", "list")

    result = voxforge("keys", "rotate", before["id"], *overlap)

    new = result.stdout.removesuffix("\n")
    assert result.exit_code == 0
    assert is_well_formed(new)
    assert new != old
    told = "The old one is refused from now on." if overlap == ["--overlap", "0"] else "The old one is good until 2"
    assert result.stderr.startswith(f"Key {before['id']} (CRM) is rotated. {told}")
    assert listing("keys", "list") == [before | {"key": f"{new[:12]}…{new[-4:]}"}]


@pytest.mark.parametrize("overlap", ["25h", "86401s", "-1h", "2", "2 h", "1d", "1h30m", "", "soon", "9999999h"])
def test_a_bad_overlap_rotates_nothing(workspace: str, overlap: str) -> None:
    voxforge("keys", "create", "--name", "CRM")
    (before,) = listing("keys", "list")

    result = voxforge("keys", "rotate", before["id"], "--overlap", overlap)

    says = "--overlap must be a duration such as 30m, 2h or 0, at most 24h"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{says}\n")
    assert listing("keys", "list") == [before]


def test_a_revoked_key_is_not_rotated(workspace: str) -> None:
    voxforge("keys", "create", "--name", "CRM")
    (row,) = listing("keys", "list")
    voxforge("keys", "revoke", row["id"])

    result = voxforge("keys", "rotate", row["id"])

    says = f"API key with id {row['id']} is revoked and cannot be rotated"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{says}\n")


def test_rotating_a_key_that_nobody_has(workspace: str) -> None:
    result = voxforge("keys", "rotate", "c0000000000000000unknown0")

    assert (result.exit_code, result.stderr) == (1, "API key with id c0000000000000000unknown0 not found\n")
