"""Workspaces and the people who belong to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlmodel import Field

from schema.rules.plans import Plan
from schema.tables.base import Owned, Table, enum, instant


class UserRole(StrEnum):
    """What a person may do in a workspace."""

    OWNER = "owner"
    MEMBER = "member"


class Workspace(Table, table=True):
    """A tenant, with the plan that sets its limits."""

    __tablename__ = "workspaces"
    NOUN: ClassVar[str] = "Workspace"

    name: str = Field(max_length=200)
    plan: Plan = enum(Plan)
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
