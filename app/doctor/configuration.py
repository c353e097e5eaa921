"""The settings as they are, with secrets hidden, and names in the environment that look like settings but are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import SecretStr

from app.doctor.findings import Finding, fine, note
from app.redaction import redact_text
from schema.settings import PREFIX, Settings, unknown_names


def shown(settings: Settings) -> dict[str, str]:
    """Every setting under its variable's name; what is a secret is only said to be set."""
    return {_variable(name): _value(name, getattr(settings, name)) for name in type(settings).model_fields}


def chosen(settings: Settings) -> frozenset[str]:
    """The variables that somebody has set."""
    return frozenset(map(_variable, settings.model_fields_set))


def findings(settings: Settings, env: Mapping[str, str | None] | None = None) -> list[Finding]:
    """Whether every name in the environment and `.env` is one of ours."""
    unknown = unknown_names(env)
    if not unknown:
        return [fine("settings", f"{len(settings.model_fields_set)} set, the others at their defaults")]
    return [note("settings", f"{name} is not a setting and does nothing", "Correct or remove it") for name in unknown]


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _value(name: str, value: object) -> str:
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, SecretStr):
        return redact_text(value.get_secret_value()) if name.endswith("_url") else "(hidden)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Iterable) and not isinstance(value, str | Path):
        return ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return redact_text(f"{value:g}" if isinstance(value, float) else str(value))
