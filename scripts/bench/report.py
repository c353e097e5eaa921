"""What came out: a table for people, Markdown or JSON for those who ask."""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median
from typing import Any

from cases import OURS, PEER
from measuring import Figures
from rich.console import Console
from rich.table import Table

_VERSIONS = ("fastapi", "sqlmodel", "SQLAlchemy", "starlette", "strawberry-graphql", "uvicorn", "aiosqlite", "asyncpg")
_COLUMNS = ("", "VoxForge", "FastAPI + SQLModel", "peer ÷ ours", "by rounds")
MANNER = (
    "CPU µs a request, from the kernel's accounts of the server's process with all its threads; medians of {rounds} "
    "interleaved rounds with {clients} keep-alive clients. The peer has no /graphql: it is asked for the same list "
    "over REST. The ratio is what to look at: it holds elsewhere, the times do not."
)


@dataclass(slots=True)
class Report:
    """All of a run."""

    calls: int
    agents: int
    database: str
    rounds: int
    clients: int
    loads: list[str]
    figures: Sequence[Figures] = ()
    deliveries: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def head(self) -> str:
        """What was measured, on what."""
        libraries = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
        return (
            f"{self.calls:,} calls and {self.agents:,} agents on {self.database}; Python {platform.python_version()}, "
            f"{libraries}; one process each; machine: {', then '.join(self.loads)}"
        )

    def rows(self) -> list[tuple[str, ...]]:
        """A line for each case."""
        return [
            (
                one.case.label,
                f"{one.cpu(OURS):,.0f}",
                f"{one.cpu(PEER):,.0f}",
                f"{one.ratio:.1f}",
                f"{min(one.ratios):.1f}–{max(one.ratios):.1f}",
            )
            for one in self.figures
        ]

    def delivery_lines(self) -> list[str]:
        """A sentence for each number of endpoints."""
        return [
            f"Deliveries to {endpoints} endpoint{'s' * (endpoints != 1)}: "
            f"{median(one['deliveries'] / one['seconds'] for one in rounds):,.0f} signed POSTs a second, "
            f"{median(one['cpu_s'] / one['deliveries'] for one in rounds) * 1e6:,.0f} µs of CPU each "
            "(leased, sent, answered, settled; one process)"
            for endpoints, rounds in self.deliveries.items()
        ]

    def manner(self) -> str:
        """How it was measured."""
        return MANNER.format(rounds=self.rounds, clients=self.clients)

    def show(self) -> None:
        """On the terminal."""
        console = Console()
        console.print(self.head(), highlight=False)
        if self.figures:
            table = Table(*_COLUMNS)
            for column in table.columns[1:]:
                column.justify = "right"
            table.columns[0].no_wrap = True
            for row in self.rows():
                table.add_row(*row)
            console.print(table)
            console.print(self.manner(), highlight=False)
        for line in self.delivery_lines():
            console.print(line, highlight=False)

    def markdown(self) -> str:
        """For a document."""
        lines = [self.head(), ""]
        if self.figures:
            lines += ["| " + " | ".join(_COLUMNS) + " |", "|---|" + "--:|" * (len(_COLUMNS) - 1)]
            lines += ["| " + " | ".join(row) + " |" for row in self.rows()]
            lines += ["", self.manner()]
        return "\n".join([*lines, "", *self.delivery_lines()]).strip() + "\n"

    def json(self) -> str:
        """For a program: every round."""
        cases = {
            one.case.name: {
                "ratio": one.ratio,
                "cpu_us": one.cpu_us,
                "requests_a_second": one.a_second,
                "p99_ms": one.p99_ms,
            }
            for one in self.figures
        }
        return json.dumps({"about": self.head(), "cases": cases, "deliveries": self.deliveries}, indent=2)


def show_profile(label: str, seen: dict[str, Any], most: int = 25) -> None:
    """The hottest functions of one case: on top of the stack, and anywhere in it."""
    samples = seen["samples"] or 1
    table = Table("own %", "with callees %", "function", title=label, title_justify="left")
    for column in table.columns[:2]:
        column.justify = "right"
    for name, own in sorted(seen["own"].items(), key=lambda item: -item[1])[:most]:
        table.add_row(f"{own / samples:.1%}", f"{seen['under'][name] / samples:.1%}", name)
    Console().print(table)


def show_threads(seen: dict[str, dict[str, Any]]) -> None:
    """The threads that used any CPU worth the name, the busiest first."""
    for name, one in sorted(seen.items(), key=lambda item: -item[1].get("cpu_s", 0.0)):
        used = one.get("cpu_s", 0.0)
        if used >= 0.5 and one["samples"]:
            show_profile(f"{name}: {used:.1f} s of CPU", one)
