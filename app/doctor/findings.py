"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: a problem keeps something from working, a note is worth knowing."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part, and what to do about it."""

    part: str
    level: Level
    says: str
    remedy: str = ""


def fine(part: str, says: str) -> Finding:
    return Finding(part, Level.OK, says)


def note(part: str, says: str, remedy: str = "") -> Finding:
    return Finding(part, Level.NOTE, says, remedy)


def problem(part: str, says: str, remedy: str) -> Finding:
    return Finding(part, Level.PROBLEM, says, remedy)
