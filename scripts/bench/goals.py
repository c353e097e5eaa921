"""What was measured beside what it should be: one table for every benchmark that has goals."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line; a figure without a goal is there to be known."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None


def at_most(name: str, value: float, goal: float, unit: str) -> Figure:
    """A figure that must not be greater than its goal."""
    return Figure(name, f"{value:,.4g} {unit}".rstrip(), f"≤ {goal:,.4g} {unit}".rstrip(), value <= goal)


def at_least(name: str, value: float, goal: float, unit: str = "") -> Figure:
    """A figure that must not be less than its goal."""
    return Figure(name, f"{value:,.4g} {unit}".rstrip(), f"≥ {goal:,.4g} {unit}".rstrip(), value >= goal)


def none_of(name: str, found: Sequence[str]) -> Figure:
    """Things of which there must be none; the first few are shown."""
    shown = "" if not found else f": {'; '.join(found[:3])}"
    return Figure(name, f"{len(found)}{shown}", "0", not found)


def show(title: str, figures: Sequence[Figure]) -> bool:
    """Print the table; returns whether every goal was met."""
    table = Table("", "measured", "goal", "", title=title, title_justify="left")
    for one in figures:
        table.add_row(one.name, one.value, one.goal, "" if one.met is None else ("met" if one.met else "MISSED"))
    Console(width=140, highlight=False).print(table)
    return all(one.met is not False for one in figures)


def write(path: Path | None, title: str, figures: Sequence[Figure]) -> None:
    """The same as JSON, for a program; None: nowhere."""
    if path is not None:
        rows = [{name: getattr(one, name) for name in Figure.__slots__} for one in figures]
        path.write_text(json.dumps({"title": title, "figures": rows}, indent=2))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of them do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
