"""Workspaces and the people who belong to them."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlmodel import Field

from schema.rules.plans import Plan
from schema.rules.roles import UserRole
from schema.tables.base import Owned, Table, enum, instant


class Workspace(Table, table=True):
    """A tenant, with the plan that sets its limits.

    `contacts_at_most`: there are no more contacts than this; None while nobody has counted them (decision K6).
    """

    __tablename__ = "workspaces"
    NOUN: ClassVar[str] = "Workspace"

    name: str = Field(max_length=200)
    plan: Plan = enum(Plan)
    contacts_at_most: int | None = None
    created_at: datetime = instant()


class User(Owned, table=True):
    """A person who may sign in to the dashboard; the password is kept as an argon2id hash."""

    __tablename__ = "users"
    NOUN: ClassVar[str] = "User"

    email: str = Field(max_length=254, unique=True)
    role: UserRole = enum(UserRole)
    password_hash: str = Field(max_length=200)
    must_change_password: bool = Field(default=True)
    last_signed_in_at: datetime | None = instant(nullable=True)
    password_changed_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
