"""`voxforge …`: what the person who runs VoxForge types, a module a noun.

Commands import what they need when they run, so that `voxforge --version` loads no server and no database.
"""

from __future__ import annotations


def main() -> None:
    """The console script."""
    from app.cli.root import commands  # noqa: PLC0415 (so that importing one command does not load all of them)

    commands(prog_name="voxforge")
