"""`voxforge doctor`: says what is wrong, in words, and what to do about it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from app.cli.support import AsJson, Data, print_json, run

if TYPE_CHECKING:
    from app.doctor.findings import Finding

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def doctor(as_json: AsJson = False, data: Data = None) -> None:
    """Check every part and say what is wrong.

    The exit status is 1 when something is broken.
    """
    from app import logs
    from app.doctor import configuration
    from app.doctor.examination import examine
    from app.doctor.findings import Level
    from schema.settings import load_settings

    settings = load_settings(data=data)
    logs.configure(settings.log_format, level="ERROR")
    findings = run(examine(settings))
    broken = sum(found.level is Level.PROBLEM for found in findings)
    if as_json:
        checks = [
            {"part": found.part, "level": found.level.value, "says": found.says, "remedy": found.remedy or None}
            for found in findings
        ]
        print_json({"ok": not broken, "checks": checks, "settings": configuration.shown(settings)})
    else:
        _print_settings(configuration.shown(settings), configuration.chosen(settings))
        for found in findings:
            _print_finding(found)
        typer.echo("\n" + (f"{broken} {'problem' if broken == 1 else 'problems'}." if broken else "Nothing is broken."))
    raise typer.Exit(1 if broken else 0)


def _print_settings(values: dict[str, str], chosen: frozenset[str]) -> None:
    width = max(map(len, values))
    for name, value in values.items():
        typer.echo(f"{name:<{width}}  {value or '-'}{'' if name in chosen else '  (default)'}")
    typer.echo()


def _print_finding(found: Finding) -> None:
    level = found.level.value
    shown = typer.style(f"{level:<8}", fg=_COLOURS[level]) if sys.stdout.isatty() else f"{level:<8}"
    typer.echo(f"{shown} {found.part:<11} {found.says}{f'. {found.remedy}' if found.remedy else ''}")
