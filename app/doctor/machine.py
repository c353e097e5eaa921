"""The machine: Python, the data directory, disk space, the clock, and programs that may be there."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.doctor.findings import Finding, fine, note, problem

OLDEST_PYTHON = (3, 11)
TESTED_PYTHONS = ((3, 11), (3, 12), (3, 13))
RELEASED = datetime(2025, 1, 1, tzinfo=UTC)
LITTLE_BYTES = 1024**3
TOO_LITTLE_BYTES = 100 * 1024**2


def python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    shown = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return problem("python", f"Python {shown} is too old", "Use Python 3.11 or newer")
    if version not in TESTED_PYTHONS:
        return note("python", f"Python {shown}, which VoxForge has not been tested with")
    return fine("python", f"Python {shown}")


def data_directory(data: Path) -> list[Finding]:
    """Whether it is there, can be written, and shows its secrets to nobody else."""
    if not data.exists():
        return [problem("data", f"The data directory {data} does not exist", "Run voxforge up or voxforge migrate")]
    try:
        with tempfile.NamedTemporaryFile(dir=data, prefix=".doctor."):
            pass
    except OSError as error:
        return [problem("data", f"{data} cannot be written: {error.strerror}", "Give its rights to this user")]
    return [fine("data", f"{data} can be written"), *(found for found in map(_privacy, _private(data)) if found)]


def _private(data: Path) -> list[Path]:
    return [path for path in (data / "secret.key", data / "voxforge.db") if path.exists()]


def _privacy(path: Path) -> Finding | None:
    mode = stat.S_IMODE(path.stat().st_mode)
    shut = stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    if path.name == "secret.key" and mode & 0o077:
        return problem("data", f"{path} can be read by other users (mode {mode:04o})", f"chmod 600 {path}")
    if mode & 0o004 and not shut:
        return note("data", f"{path} can be read by other users (mode {mode:04o})", f"chmod 700 {path.parent}")
    return None


def disk(data: Path) -> Finding:
    there = next(path for path in (data.resolve(), *data.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    shown = f"{free / 1024**3:.1f} GiB free"
    if free < TOO_LITTLE_BYTES:
        return problem("disk", f"Almost full: {shown}", "Make room: recordings are what grows")
    if free < LITTLE_BYTES:
        return note("disk", f"Little space: {shown}", "Make room: recordings are what grows")
    return fine("disk", shown)


def clock(now: datetime) -> Finding:
    if now < RELEASED:
        return problem("clock", f"The clock says {now:%Y-%m-%d}, which is over", "Set the clock, or run NTP")
    try:
        ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        return problem("clock", "There is no time zone data", "Install the package tzdata")
    return fine("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def clock_against(server: str, ours: datetime, theirs: datetime) -> Finding | None:
    """The difference from another machine's clock, if it is one that matters."""
    seconds = (ours - theirs).total_seconds()
    if abs(seconds) <= 2:
        return None
    says = f"This clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {server}'s"
    remedy = "Run NTP on both: leases and rate limits compare instants"
    return problem("clock", says, remedy) if abs(seconds) > 30 else note("clock", says, remedy)


def speech() -> Finding:
    for program in ("espeak-ng", "espeak"):
        found = shutil.which(program)
        if found:
            return fine("speech", f"{program} at {found}")
    return note("speech", "espeak-ng is not installed: recordings of sandbox calls have tones instead of words")
