"""People: accounts for the dashboard, made on the command line."""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from sqlalchemy import select
from sqlmodel import col

from schema.errors import Invalid
from schema.rules.fields import choice, email
from schema.runtime import Reads, Transaction
from schema.tables import User, UserRole

_hasher = PasswordHasher()


async def create(tx: Transaction, *, address: str, role: str) -> tuple[User, str]:
    """A person and their one-time password, which must be changed at the first sign-in and is kept only as a hash."""
    address = email(address.strip().lower(), "email")
    if await tx.first(select(User).where(col(User.email) == address)):
        raise Invalid(f"There is already a user {address}")
    password = secrets.token_urlsafe(15)
    row = User(
        id=tx.new_id(),
        workspace_id=tx.workspace_id,
        email=address,
        role=UserRole(choice(UserRole)(role, "role")),
        password_hash=_hasher.hash(password),
        created_at=tx.now,
    )
    return tx.add(row), password


async def everybody(tx: Reads) -> list[User]:
    """The workspace's people, oldest first."""
    return await tx.all(tx.select(User).order_by(col(User.created_at), col(User.id)))
