"""`voxforge users`."""

from __future__ import annotations

import pytest

from tests.app.cli.support import listing, voxforge


def test_create_prints_the_password_alone(workspace: str) -> None:
    result = voxforge("users", "create", "Ada@Example.com", "--role", "owner")

    password = result.stdout.removesuffix("\n")
    assert result.exit_code == 0
    assert len(password) >= 20
    assert password not in result.stderr
    (row,) = listing("users", "list")
    assert row == {
        "id": row["id"],
        "email": "ada@example.com",
        "role": "owner",
        "workspaceId": workspace,
        "createdAt": row["createdAt"],
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


def test_the_password_is_kept_only_as_a_hash(workspace: str, migrated) -> None:
    password = voxforge("users", "create", "ada@example.com").stdout.strip()

    assert password.encode() not in b"".join(path.read_bytes() for path in migrated.iterdir())
