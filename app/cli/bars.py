"""Progress bars, on a terminal; nothing where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# ruff: noqa: PLC0415 (rich is loaded when there is a bar to draw)


class Bars:
    """One below the other, each made when it is first spoken of."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, done: float, total: float | None, said: str = "") -> None:
        """How far `name` is, `total` None for who knows; `said` stands behind it."""
        if self._progress is None:
            return
        if name not in self._tasks:
            self.complete()
            self._tasks[name] = self._progress.add_task(name, said=said)
        self._progress.update(self._tasks[name], completed=done, total=total, said=said)

    def complete(self) -> None:
        """All that has been shown is done."""
        if self._progress is None:
            return
        for task in self._progress.tasks:
            total = task.total or 1
            self._progress.update(task.id, completed=total, total=total)


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars on stderr while the block runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bars(None)
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        shown = Bars(progress)
        yield shown
        shown.complete()
