"""Settings: the environment (and `.env`), validated once at start, with secrets that do not print."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schema.rules.webhooks import LADDER

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PREFIX = "VOXFORGE_"
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_UNIQUE_LOCAL = ipaddress.IPv6Network("fc00::/7")
_WIDEST = {4: 8, 6: 16}  # the shortest prefix, by version
OF_COMMANDS = frozenset({"VOXFORGE_URL", "VOXFORGE_API_KEY"})
"""Read by commands that talk to a running server."""


class SettingsError(Exception):
    """One line that names the wrong setting and says what is allowed."""


class Settings(BaseSettings):
    """What `operator.md` lists under *Settings*; the attribute `x_y` is the variable `VOXFORGE_X_Y`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,  # `VOXFORGE_REDIS_URL=` in `.env` is unset
        extra="ignore",
        frozen=True,
    )

    data: Path = Path("./var")
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    public_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    carrier: Literal["sandbox"] = "sandbox"
    sandbox_speed: float = Field(default=1.0, gt=0, le=10_000)
    llm_url: str | None = None
    llm_model: str | None = None
    llm_api_key: SecretStr | None = None
    webhook_retry_schedule: Annotated[tuple[float, ...], NoDecode] = tuple(float(delay) for delay in LADDER)
    webhook_timeout: float = Field(default=10.0, gt=0, le=60)
    webhook_allow_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    webhook_allow_http: bool = False
    webhook_log_days: int = Field(default=30, ge=1, le=3_650)
    graphql_introspection: bool = True
    log_format: Literal["pretty", "json"] | None = None
    sqlite_synchronous: Literal["normal", "full"] = "normal"

    @field_validator("trusted_proxies", "webhook_allow_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(_network(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: tuple[Network, ...]) -> tuple[Network, ...]:
        return tuple(_proxy(network) for network in value)

    @field_validator("webhook_retry_schedule", mode="before")
    @classmethod
    def _delays(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            delays = tuple(float(part) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError("must be seconds separated by commas, such as 30,300,1800,7200") from None
        if not delays or len(delays) > 20 or any(not 0 < delay <= 604_800 for delay in delays):
            raise ValueError("must be 1 to 20 delays of more than 0 and at most 604800 seconds")
        return delays

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr | None) -> SecretStr | None:
        if value and _scheme(value.get_secret_value()) not in {"postgresql", "postgres", "sqlite"}:
            raise ValueError("must start with postgresql:// (or be unset, for SQLite in the data directory)")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value and _scheme(value.get_secret_value()) not in {"redis", "rediss", "unix"}:
            raise ValueError("must start with redis:// or rediss://")
        return value

    @field_validator("public_url", "llm_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value and (_scheme(value) not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("must be an address such as https://voice.example.com")
        return value.rstrip("/") if value else value

    @cached_property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which of the two databases the settings name."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        return "postgresql" if url.startswith("postgres") else "sqlite"

    @cached_property
    def sqlite_path(self) -> Path:
        """The SQLite file; `VOXFORGE_DATABASE_URL=sqlite:///file` may move it."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        return Path(url.split(":///", 1)[1]) if ":///" in url else self.data / "voxforge.db"

    @cached_property
    def public_base(self) -> str:
        """The address in links, without a trailing slash."""
        if self.public_url:
            return self.public_url
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104 (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def embedded(self) -> bool:
        """Whether one process does everything (no Redis configured)."""
        return self.redis_url is None


def _scheme(url: str) -> str | None:
    """The scheme of a URL, None for what is not one: half a bracket, a port that is no number."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (reading it is what checks it)
    except ValueError:
        return None
    return parts.scheme


def _network(text: str) -> Network:
    if text == "*":
        raise ValueError("must be addresses or CIDR ranges; * would trust everybody")
    try:
        return ipaddress.ip_network(text, strict=True)
    except ValueError:
        raise ValueError(f"must be addresses or CIDR ranges such as 10.0.0.0/8, not {text!r}") from None


def _proxy(network: Network) -> Network:
    """As clients' addresses are compared with it: IPv4 is IPv4, also where it is written as IPv6.

    It may be as wide as what one owner has. A wider one holds strangers, who could then say that they are anybody.
    """
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        low = int(network.network_address) & 0xFFFF_FFFF
        network = ipaddress.IPv4Network((low, network.prefixlen - _MAPPED.prefixlen))
    if network.prefixlen < _WIDEST[network.version] and network != _UNIQUE_LOCAL:
        raise ValueError(
            f"must name proxies only: {network} holds others too "
            "(a /8 of IPv4 is the widest, of IPv6 a /16 or fc00::/7)"
        )
    return network


def unknown_names(env: Mapping[str, str | None] | None = None) -> list[str]:
    """Names in the environment and `.env`, or in `env`, that look like settings and are none: misspelt, or of old."""
    given = {**dotenv_values(".env"), **os.environ} if env is None else env
    ours = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OF_COMMANDS
    return sorted(name for name in given if name.upper().startswith(PREFIX) and name.upper() not in ours)


def load_settings(**overrides: object) -> Settings:
    """Read the settings; `overrides` win over the environment. Raises SettingsError."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    field = str(problem["loc"][0]) if problem["loc"] else "settings"
    context = problem.get("ctx", {})
    message = str(context.get("error") or problem["msg"])
    match problem["type"]:
        case "literal_error":
            message = f"must be one of: {context['expected']}".replace("'", "").replace(" or ", ", ")
        case "float_parsing" | "int_parsing" | "int_from_float":
            message = "must be a number"
        case "bool_parsing":
            message = "must be true or false"
        case "greater_than":
            message = f"must be more than {context['gt']:g}"
        case "less_than_equal":
            message = f"must be at most {context['le']:g}"
        case "greater_than_equal":
            message = f"must be at least {context['ge']:g}"
    return f"{PREFIX}{field.upper()} {message}"
