"""What came out: a table for people, JSON for those who ask."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field

from counting import Outcome
from rich.console import Console
from rich.table import Table

_COLUMNS = (
    "fault",
    "mode",
    "what was done",
    "lost",
    "dialed twice",
    "stuck",
    "copies / in flight",
    "recovery",
    "verdict",
)
_WIDTH = 150


@dataclass(slots=True)
class Report:
    """All of a run."""

    seed: int
    quick: bool
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether no number was missed."""
        return all(not outcome.misses for outcome in self.outcomes)

    def head(self) -> str:
        """What was run, on what."""
        cores = len(os.sched_getaffinity(0))
        return (
            f"Seed {self.seed}{', quick' if self.quick else ''}; Python {platform.python_version()}, {cores} cores; "
            f"{self.seconds:.0f} s"
        )

    def show(self) -> None:
        """On stdout; a terminal that is narrow, or none, gets the whole table all the same."""
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = _WIDTH
        table = Table(*_COLUMNS)
        for outcome in self.outcomes:
            table.add_row(*row(outcome))
        console.print(table)
        for outcome in self.outcomes:
            for line in outcome.details:
                console.print(f"{outcome.fault} ({outcome.mode}): {line}", markup=False)
        console.print(self.head())

    def json(self) -> str:
        """For a program."""
        rows = [asdict(outcome) | {"misses": outcome.misses} for outcome in self.outcomes]
        about = {"seed": self.seed, "quick": self.quick, "seconds": round(self.seconds, 1), "held": self.held}
        return json.dumps({**about, "faults": rows}, indent=2)


def row(outcome: Outcome) -> tuple[str, ...]:
    """The cells of one line."""
    return (
        outcome.fault,
        outcome.mode,
        outcome.done,
        str(outcome.lost),
        str(outcome.twice),
        str(outcome.stuck),
        f"{outcome.copies} / {outcome.in_flight}",
        "–" if outcome.recovery_s is None else f"{outcome.recovery_s:.1f} s",
        outcome.verdict,
    )
