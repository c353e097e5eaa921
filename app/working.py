"""The one way from `app` to the workers, which are loaded only by a process that works."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Protocol

import structlog

from app import logs
from app.collecting import spare_loaded
from app.stopping import WORK_GRACE_S, Stopping
from app.supervisor import FAILED_TO_START
from schema.bell import Bell, open_bell
from schema.settings import Settings

log = structlog.get_logger("voxforge.work")


class Unit(Protocol):
    """One process's workers."""

    def start(self) -> None:
        """Start; raises what keeps them from starting."""

    def stop(self, timeout_s: float) -> None:
        """Take no new work, and let what is under way come to rest."""


def open_unit(settings: Settings, bell: Bell, threads: int | None = None) -> Unit:
    """This process's workers, not yet started."""
    from workers import main  # noqa: PLC0415 (a server without workers must not load them)

    return main.Unit(settings, bell=bell) if threads is None else main.Unit(settings, bell=bell, threads=threads)


def bell_of(settings: Settings) -> Bell:
    """The bell that the settings ask for."""
    return open_bell(settings.redis_url.get_secret_value() if settings.redis_url else None)


def work_process(ready: Connection, settings: Settings, threads: int | None) -> None:
    """What each process of `voxforge work` does: work until asked to stop."""
    logs.configure(settings.log_format)
    stopping = Stopping()
    stopping.follow_parent()
    bell = bell_of(settings)
    try:
        unit = open_unit(settings, bell, threads)
        unit.start()
    except Exception:
        log.exception("cannot work")
        raise SystemExit(FAILED_TO_START) from None
    spare_loaded()
    ready.send(None)
    stopping.wait()
    log.info("stopping")
    unit.stop(WORK_GRACE_S)
    bell.close()
