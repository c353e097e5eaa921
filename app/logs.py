"""One log for everything: ours through structlog, the libraries' through `logging`, in one form, without secrets."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from app.redaction import redact_event

Format = Literal["pretty", "json"]

_QUIET = {"alembic", "uvicorn.access", "aiosqlite", "asyncio", "httpx", "httpcore", "hpack", "graphql", "strawberry"}
"""Libraries that say at INFO or DEBUG what we say ourselves; uvicorn's access log is off altogether."""


def configure(form: Format | None = None, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (stderr): JSON, or `pretty` by default on a terminal.

    Start uvicorn with `log_config=None`, or it brings its own.
    """
    out = stream or sys.stderr
    form = form or ("pretty" if out.isatty() else "json")
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_source,
    ]
    finish: list[Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact_event,
        _renderer(form, colors=out.isatty()),
    ]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *names: _NamedLogger(out, *names),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "dramatiq", "alembic", "sqlalchemy"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = name != "uvicorn.access"
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def _renderer(form: Format, *, colors: bool) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(serializer=_to_json)
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _to_json(event: EventDict, **_: Any) -> str:
    try:
        return orjson.dumps(event).decode()
    except TypeError:  # text that is not Unicode, numbers beyond 64 bits: no reason to lose the line
        return json.dumps(event)


class _NamedLogger(structlog.WriteLogger):
    """What writes the lines of `structlog.get_logger("voxforge.calls")`."""

    def __init__(self, out: TextIO, name: str = "") -> None:
        super().__init__(out)
        self.name = name


def _add_source(logger: Any, _method: str, event: EventDict) -> EventDict:
    """Say which logger, ours or a library's, the line is from."""
    record: logging.LogRecord | None = event.get("_record")
    name = record.name if record else getattr(logger, "name", "")
    if name:
        event["source"] = name
    return event
