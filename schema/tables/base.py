"""What every table has in common: the naming of constraints, column types settled once, and the row that is a job."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, Index, text
from sqlmodel import Field, SQLModel

from schema.database import EnumText, Instant, metadata


class Table(SQLModel):
    """A row; `NOUN` is what messages call it."""

    metadata = metadata
    NOUN: ClassVar[str] = "Row"

    id: str = Field(primary_key=True, max_length=64)


class Owned(Table):
    """A row of one workspace."""

    workspace_id: str = Field(foreign_key="workspaces.id", max_length=25)


class SoftDeleted(Owned):
    """A row that deleting hides: what refers to it stays readable (decision A2)."""

    deleted_at: datetime | None = Field(default=None, sa_type=Instant)


class Job(Owned):
    """A row that is work (`due_at`: when somebody must look at it; None: finished) with its fence, `version`."""

    due_at: datetime | None = Field(default=None, sa_type=Instant)
    version: int = Field(default=0)


def instant(*, nullable: bool = False) -> Any:
    """A column that holds an instant, UTC."""
    return Field(default=None, sa_type=Instant, nullable=nullable)


def enum(kind: type[StrEnum], default: StrEnum | None = None, *, nullable: bool = False) -> Any:
    """A column that holds an enum's text."""
    return Field(default=default, sa_type=EnumText(kind), nullable=nullable)


def json(*, nullable: bool = True) -> Any:
    """A column that holds JSON; None is SQL NULL, not JSON's null."""
    return Field(default=None, sa_type=JSON(none_as_null=True), nullable=nullable)


def due_index(table: str) -> Index:
    """The partial index that the queue of `table` is read by."""
    where = text("due_at IS NOT NULL")
    return Index(f"ix_{table}_due", "due_at", sqlite_where=where, postgresql_where=where)
