"""What a command cannot do, said in one sentence."""

from __future__ import annotations

import re
import sys

from app.redaction import redact_text
from schema.errors import DomainError

MIGRATE_FIRST = "Run voxforge up or voxforge migrate first"

_BEHIND = re.compile(r"no such (table|column)|(relation|column) .* does not exist")


class Failure(Exception):
    """Its text is for the person who typed the command: what is wrong and, where it helps, what to do."""


def sentence(error: Exception) -> str | None:
    """What to say about an error; None for one that nobody foresaw, whose traceback is wanted."""
    if isinstance(error, DomainError | Failure):
        return str(error)
    settings = sys.modules.get("schema.settings")
    if settings is not None and isinstance(error, settings.SettingsError):
        return str(error)
    database = sys.modules.get("schema.database")
    if database is not None and isinstance(error, database.DATABASE_ERRORS):
        return database_sentence(error)
    return _os_sentence(error) if isinstance(error, OSError) else None


def database_sentence(error: Exception) -> str:
    """What a database's error means for the person at the terminal; without addresses' passwords and SQL."""
    if isinstance(error, OSError) and error.filename is not None:
        return _os_sentence(error)
    cause = getattr(error, "orig", None) or error
    said = redact_text(str(cause)).strip().partition("\n")[0].rpartition(">: ")[2] or type(cause).__name__
    if re.search(_BEHIND, said):
        return f"The database is not up to date ({said}). {MIGRATE_FIRST}"
    return f"The database cannot be used: {said}"


def _os_sentence(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
