"""A wrong setting is one line that names it and says what is allowed; secrets do not print (`operator.md`)."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest

from schema.settings import PREFIX, Settings, SettingsError, load_settings

SECRETS = {
    "VOXFORGE_DATABASE_URL": "postgresql://voxforge:hunter2@db.internal/voxforge",
    "VOXFORGE_REDIS_URL": "redis://:hunter2@cache.internal:6379/0",
    "VOXFORGE_LLM_API_KEY": "sk-hunter2",
}
ADDRESS = "must be an address such as https://voice.example.com"
CIDR = "must be addresses or CIDR ranges such as 10.0.0.0/8, not"
DELAYS = "must be 1 to 20 delays of more than 0 and at most 604800 seconds"
POSTGRES = "must start with postgresql:// (or be unset, for SQLite in the data directory)"
REDIS = "must start with redis:// or rediss://"

WRONG = [
    ("DATABASE_URL", "mysql://db.internal/voxforge", POSTGRES),
    ("DATABASE_URL", "./voxforge.db", POSTGRES),
    ("DATABASE_URL", "postgresql://[::1/voxforge", POSTGRES),
    ("DATABASE_URL", "postgresql://db.internal:many/voxforge", POSTGRES),
    ("REDIS_URL", "http://cache.internal", REDIS),
    ("REDIS_URL", "redis://cache.internal:99999", REDIS),
    ("PUBLIC_URL", "voice.example.com", ADDRESS),
    ("PUBLIC_URL", "https://", ADDRESS),
    ("PUBLIC_URL", "https://[", ADDRESS),
    ("PUBLIC_URL", "https://:443", ADDRESS),
    ("PORT", "http", "must be a number"),
    ("PORT", "80.5", "must be a number"),
    ("PORT", "-1", "must be at least 0"),
    ("PORT", "65536", "must be at most 65535"),
    ("TRUSTED_PROXIES", "*", "must be addresses or CIDR ranges; * would trust everybody"),
    ("TRUSTED_PROXIES", "10.0.0.1/8", f"{CIDR} '10.0.0.1/8'"),
    ("TRUSTED_PROXIES", "127.0.0.1, proxy.internal", f"{CIDR} 'proxy.internal'"),
    ("CARRIER", "pigeon", "must be one of: sandbox"),
    ("SANDBOX_SPEED", "fast", "must be a number"),
    ("SANDBOX_SPEED", "0", "must be more than 0"),
    ("SANDBOX_SPEED", "10001", "must be at most 10000"),
    ("SANDBOX_SPEED", "nan", "must be at most 10000"),
    ("LLM_URL", "ftp://models.internal", ADDRESS),
    ("WEBHOOK_RETRY_SCHEDULE", "30;300", "must be seconds separated by commas, such as 30,300,1800,7200"),
    ("WEBHOOK_RETRY_SCHEDULE", ",", DELAYS),
    ("WEBHOOK_RETRY_SCHEDULE", "30,0", DELAYS),
    ("WEBHOOK_RETRY_SCHEDULE", "604801", DELAYS),
    ("WEBHOOK_RETRY_SCHEDULE", "nan", DELAYS),
    ("WEBHOOK_RETRY_SCHEDULE", ",".join(["1"] * 21), DELAYS),
    ("WEBHOOK_TIMEOUT", "soon", "must be a number"),
    ("WEBHOOK_TIMEOUT", "0", "must be more than 0"),
    ("WEBHOOK_TIMEOUT", "60.5", "must be at most 60"),
    ("WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/33", f"{CIDR} '10.0.0.0/33'"),
    ("WEBHOOK_ALLOW_HTTP", "perhaps", "must be true or false"),
    ("WEBHOOK_LOG_DAYS", "a month", "must be a number"),
    ("WEBHOOK_LOG_DAYS", "0", "must be at least 1"),
    ("WEBHOOK_LOG_DAYS", "3651", "must be at most 3650"),
    ("GRAPHQL_INTROSPECTION", "perhaps", "must be true or false"),
    ("LOG_FORMAT", "xml", "must be one of: pretty, json"),
    ("SQLITE_SYNCHRONOUS", "off", "must be one of: normal, full"),
]
ANYTHING_GOES = {"DATA", "HOST", "LLM_MODEL", "LLM_API_KEY"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no `.env` of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_setting_is_one_line(name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name, value)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert str(refused.value) == f"VOXFORGE_{name} {allowed}"


def test_every_setting_that_can_be_wrong_is_tried() -> None:
    tried = {name for name, _, _ in WRONG}

    assert tried | ANYTHING_GOES == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(name.upper() for name in Settings.model_fields))
def test_a_blank_setting_is_unset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name, "")

    assert load_settings() == Settings()


def test_nothing_set_is_the_documents_defaults() -> None:
    settings = load_settings()

    assert settings.model_dump() == {
        "data": Path("var"),
        "database_url": None,
        "redis_url": None,
        "public_url": "",
        "host": "127.0.0.1",
        "port": 8000,
        "trusted_proxies": (),
        "carrier": "sandbox",
        "sandbox_speed": 1.0,
        "llm_url": None,
        "llm_model": None,
        "llm_api_key": None,
        "webhook_retry_schedule": (30.0, 300.0, 1800.0, 7200.0),  # W5
        "webhook_timeout": 10.0,  # W4
        "webhook_allow_networks": (),
        "webhook_allow_http": False,
        "webhook_log_days": 30,
        "graphql_introspection": True,
        "log_format": None,
        "sqlite_synchronous": "normal",
    }
    assert settings.dialect == "sqlite"
    assert settings.sqlite_path == Path("var/voxforge.db")
    assert settings.public_base == "http://127.0.0.1:8000"
    assert settings.embedded


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFORGE_TRUSTED_PROXIES", "127.0.0.1, 2001:db8::/32,")
    monkeypatch.setenv("VOXFORGE_WEBHOOK_RETRY_SCHEDULE", "0.5, 2")
    monkeypatch.setenv("VOXFORGE_WEBHOOK_ALLOW_HTTP", "true")
    monkeypatch.setenv("VOXFORGE_PUBLIC_URL", "https://voice.example.com/calls/")

    settings = load_settings()

    assert settings.trusted_proxies == (
        ipaddress.ip_network("127.0.0.1/32"),
        ipaddress.ip_network("2001:db8::/32"),
    )
    assert settings.webhook_retry_schedule == (0.5, 2.0)
    assert settings.webhook_allow_http is True
    assert settings.public_base == "https://voice.example.com/calls"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("fc00::/7", "fc00::/7"),
        ("2001::/16", "2001::/16"),
        ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
    ],
)
def test_proxies_are_compared_as_clients_addresses_are(given: str, meant: str) -> None:
    settings = load_settings(trusted_proxies=given)

    assert settings.trusted_proxies == (ipaddress.ip_network(meant),)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("0.0.0.0/1,128.0.0.0/1", "0.0.0.0/1"),
        ("10.0.0.5, 10.0.0.0/7", "10.0.0.0/7"),
        ("::/0", "::/0"),
        ("2000::/3", "2000::/3"),
        ("fe00::/7", "fe00::/7"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:128.0.0.0/97", "128.0.0.0/1"),
    ],
)
def test_whoever_is_trusted_is_not_everybody(given: str, named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(trusted_proxies=given)

    assert str(refused.value) == (
        f"VOXFORGE_TRUSTED_PROXIES must name proxies only: {named} holds others too "
        "(a /8 of IPv4 is the widest, of IPv6 a /16 or fc00::/7)"
    )


def test_the_environment_wins_over_the_file_and_arguments_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("VOXFORGE_PORT=1\nVOXFORGE_HOST=file\nVOXFORGE_LLM_MODEL=file\nOTHER=1\n")
    monkeypatch.setenv("VOXFORGE_PORT", "2")
    monkeypatch.setenv("VOXFORGE_HOST", "environment")

    settings = load_settings(port=3, host=None)

    assert (settings.port, settings.host, settings.llm_model) == (3, "environment", "file")


@pytest.mark.parametrize(
    ("url", "dialect", "path"),
    [
        ("postgresql://db.internal/voxforge", "postgresql", "var/voxforge.db"),
        ("postgres://db.internal/voxforge", "postgresql", "var/voxforge.db"),
        ("sqlite:///elsewhere/calls.db", "sqlite", "elsewhere/calls.db"),
        ("sqlite:////srv/calls.db", "sqlite", "/srv/calls.db"),
    ],
)
def test_the_url_says_which_database(url: str, dialect: str, path: str) -> None:
    settings = load_settings(database_url=url)

    assert (settings.dialect, settings.sqlite_path) == (dialect, Path(path))


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("voice.internal", "http://voice.internal:8000"),
    ],
)
def test_links_begin_where_the_server_listens(host: str, base: str) -> None:
    assert load_settings(host=host).public_base == base


def test_redis_makes_many_processes_possible() -> None:
    assert not load_settings(redis_url="redis://cache.internal").embedded


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.llm_api_key is not None
    assert settings.llm_api_key.get_secret_value() == "sk-hunter2"


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_wrong_secret_does_not_print_either(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name, "ftp://voxforge:hunter2@db.internal")

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
