"""`voxforge up`, `serve`, `work` and `migrate`: what runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from app.cli.support import Data, require_database, run
from app.failure import MIGRATE_FIRST, Failure
from schema.version import VERSION

if TYPE_CHECKING:
    import socket

    from app.stopping import Stopping
    from schema.services.seed import Seed
    from schema.settings import Settings

# ruff: noqa: PLC0415 (a command loads what it runs, and no other)

Host: TypeAlias = Annotated[
    str | None, typer.Option(help="The address to listen on; VOXFORGE_HOST or 127.0.0.1.", show_default=False)
]
Port: TypeAlias = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="The port; VOXFORGE_PORT or 8000; 0 for any free one.", show_default=False),
]


def up(host: Host = None, port: Port = None, data: Data = None) -> None:
    """Start everything: migrations, API, workers.

    The first start makes sample data, and prints an API key and a line that places a call with it.
    """
    from app.listening import address_of
    from app.stopping import Stopping

    stopping = Stopping()
    with _listening(host, port, data) as (settings, listener):
        run(_migrate(settings))
        seed = run(_plant(settings))
        address = address_of(settings.host, settings.port)
        if seed is not None:
            from app.welcome import print_welcome

            print_welcome(seed, settings, address)

        from app.serving import serve as serve_until_stopped

        serve_until_stopped(settings, listener, stopping, with_workers=True, ready=lambda: _announce(address))


def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes share the port.")] = 1,
    data: Data = None,
) -> None:
    """Start the API only, for many hosts.

    `voxforge work` does the work. With SQLite, processes of one host can share the database; for several hosts, set
    VOXFORGE_DATABASE_URL.
    """
    from app.listening import address_of
    from app.stopping import Stopping

    stopping = Stopping()
    with _listening(host, port, data) as (settings, listener):
        run(_check_migrations(settings))
        address = address_of(settings.host, settings.port)
        if workers == 1:
            from app.serving import serve as serve_until_stopped

            serve_until_stopped(settings, listener, stopping, with_workers=False, ready=lambda: _announce(address))
        else:
            raise typer.Exit(_serve_many(workers, settings, listener, stopping, address))


def _serve_many(workers: int, settings: Settings, listener: socket.socket, stopping: Stopping, address: str) -> int:
    from app.serving import serve_process
    from app.supervisor import Supervisor

    with tempfile.TemporaryDirectory(prefix="voxforge-metrics-") as figures:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", figures)  # where the processes add their figures up
        supervisor = Supervisor("serve", workers, serve_process, settings, listener)
        return supervisor.run(stopping, lambda: _announce(address))


def work(
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many processes work.")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, max=64, help="Threads of each that hand work over; 2 are plenty.")
    ] = None,
    data: Data = None,
) -> None:
    """Start workers only, for many hosts.

    They place the calls and send the webhooks. A process that dies is started again.
    """
    from app import logs
    from app.stopping import Stopping
    from app.supervisor import Supervisor
    from app.working import work_process
    from schema.settings import load_settings

    stopping = Stopping()
    settings = load_settings(data=data)
    logs.configure(settings.log_format)
    _warn_of_unknown_settings()
    run(_check_migrations(settings))
    supervisor = Supervisor("work", processes, work_process, settings, threads)
    raise typer.Exit(supervisor.run(stopping, lambda: _announce_work(processes)))


def migrate(data: Data = None) -> None:
    """Bring the database up to date."""
    from app import logs
    from schema.settings import load_settings

    settings = load_settings(data=data)
    logs.configure(settings.log_format, level="WARNING")
    before, after = run(_migrate(settings))
    typer.echo(f"The database is up to date ({after})." if before == after else f"Migrated to {after}.")


@contextmanager
def _listening(host: str | None, port: int | None, data: Path | None) -> Iterator[tuple[Settings, socket.socket]]:
    """The settings, with the port that was got, and the socket that listens on it."""
    from app import logs
    from app.listening import listen, port_of
    from schema.settings import load_settings

    settings = load_settings(host=host, port=port, data=data)
    logs.configure(settings.log_format)
    _warn_of_unknown_settings()
    with listen(settings.host, settings.port) as listener:
        yield settings.model_copy(update={"port": port_of(listener)}), listener


def _warn_of_unknown_settings() -> None:
    """A misspelt setting does nothing, and nobody would know."""
    import structlog

    from schema.settings import unknown_names

    for name in unknown_names():
        structlog.get_logger("voxforge").warning("not a setting, and does nothing", name=name)


async def _migrate(settings: Settings) -> tuple[str | None, str]:
    from schema import migrations

    return await migrations.upgrade(settings)


async def _plant(settings: Settings) -> Seed | None:
    from schema.runtime import Runtime
    from schema.services import seed

    runtime = Runtime.open(settings)
    try:
        return await seed.plant(runtime)
    finally:
        await runtime.close()


async def _check_migrations(settings: Settings) -> None:
    """Raises Failure unless the database is at the revision that this version wants."""
    from schema import migrations

    require_database(settings)
    current, head = await migrations.current(settings), migrations.head()
    if current is None:
        raise Failure(f"The database is empty. {MIGRATE_FIRST}")
    if current != head:
        raise Failure(f"The database is at revision {current}, this version wants {head}. {MIGRATE_FIRST}")


def _announce(address: str) -> None:
    typer.echo(f"VoxForge {VERSION} is at {address} (Ctrl-C stops it)")


def _announce_work(processes: int) -> None:
    shown = (
        "One process works (Ctrl-C stops it)" if processes == 1 else f"{processes} processes work (Ctrl-C stops them)"
    )
    typer.echo(f"VoxForge {VERSION}: {shown}")
