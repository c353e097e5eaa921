"""`voxforge users`."""

from __future__ import annotations

from pathlib import Path

import pytest

from schema.services.users import LAST_OWNER
from tests.app.cli.support import listing, voxforge


def test_create_prints_the_password_alone(workspace: str) -> None:
    result = voxforge("users", "create", "Ada@Example.com", "--role", "owner")

    password = result.stdout.removesuffix("\n")
    assert result.exit_code == 0
    assert len(password) >= 20
    assert result.stderr == "ada@example.com can sign in to Acme with this password, and must then choose another:\n"
    (row,) = listing("users", "list")
    assert row == {
        "id": row["id"],
        "email": "ada@example.com",
        "role": "owner",
        "workspaceId": workspace,
        "createdAt": row["createdAt"],
        "lastSignedInAt": None,
    }


def test_a_person_is_a_member_unless_told(workspace: str) -> None:
    voxforge("users", "create", "ada@example.com")

    assert [row["role"] for row in listing("users", "list", "--workspace", workspace)] == ["member"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ada",), "email must be an e-mail address"),
        (("ada@example.com", "--role", "boss"), "role must be one of: owner, member"),
        (("ada@example.com", "--workspace", "c0"), "Workspace with id c0 not found"),
        (("grace@example.com",), "There is already a user grace@example.com"),
    ],
)
def test_a_bad_value_makes_no_user(workspace: str, arguments: tuple[str, ...], says: str) -> None:
    voxforge("users", "create", "grace@example.com")

    result = voxforge("users", "create", *arguments)

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{says}\n")
    assert [row["email"] for row in listing("users", "list")] == ["grace@example.com"]


def test_the_password_is_kept_only_as_a_hash(workspace: str, migrated: Path) -> None:
    password = voxforge("users", "create", "ada@example.com").stdout.strip()

    assert password.encode() not in b"".join(path.read_bytes() for path in migrated.iterdir())


def test_a_reset_password_is_another(workspace: str, migrated: Path) -> None:
    first = voxforge("users", "create", "ada@example.com").stdout

    result = voxforge("users", "reset-password", "Ada@example.com")

    password = result.stdout.removesuffix("\n")
    assert result.exit_code == 0
    assert len(password) >= 20
    assert result.stdout != first
    assert result.stderr == "ada@example.com can sign in with this password, and must then choose another:\n"
    assert password.encode() not in b"".join(path.read_bytes() for path in migrated.iterdir())


def test_remove(workspace: str) -> None:
    voxforge("users", "create", "ada@example.com", "--role", "owner")
    voxforge("users", "create", "grace@example.com")

    result = voxforge("users", "remove", "Grace@example.com")
    last = voxforge("users", "remove", "ada@example.com")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "grace@example.com is removed.\n")
    assert (last.exit_code, last.stdout, last.stderr) == (1, "", f"{LAST_OWNER}\n")
    assert [row["email"] for row in listing("users", "list")] == ["ada@example.com"]


@pytest.mark.parametrize("command", ["remove", "reset-password"])
@pytest.mark.parametrize("email", ["nobody@example.com", "ada"])
def test_nobody_has_that_address(workspace: str, command: str, email: str) -> None:
    voxforge("users", "create", "ada@example.com")

    result = voxforge("users", command, email)

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"There is no user {email}\n")
    assert [row["email"] for row in listing("users", "list")] == ["ada@example.com"]
