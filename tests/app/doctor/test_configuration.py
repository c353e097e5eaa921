"""The settings as they are shown."""

from __future__ import annotations

from pathlib import Path

from app.doctor import configuration
from app.doctor.findings import Level
from tests.support.runtime import settings_for


def test_secrets_are_hidden(tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path,
        database_url="postgresql://ada:hunter2@db.example.com/voxforge?password=hunter2",
        redis_url="rediss://:hunter2@redis.example.com:6380/0",
        llm_url="https://user:hunter2@models.example.com/v1",
        llm_api_key="hunter2",
    )

    shown = configuration.shown(settings)

    assert "hunter2" not in str(shown)
    assert shown["VOXFORGE_DATABASE_URL"].startswith("postgresql://ada:")
    assert "@db.example.com/voxforge" in shown["VOXFORGE_DATABASE_URL"]
    assert shown["VOXFORGE_REDIS_URL"].endswith("@redis.example.com:6380/0")
    assert shown["VOXFORGE_LLM_API_KEY"] == "(hidden)"


def test_values_are_shown_as_they_are_written(tmp_path: Path) -> None:
    shown = configuration.shown(
        settings_for(tmp_path, trusted_proxies="10.0.0.0/8,192.0.2.1", webhook_allow_http=True, sandbox_speed=20)
    )

    assert shown["VOXFORGE_DATA"] == str(tmp_path)
    assert shown["VOXFORGE_TRUSTED_PROXIES"] == "10.0.0.0/8,192.0.2.1/32"
    assert shown["VOXFORGE_WEBHOOK_ALLOW_HTTP"] == "true"
    assert shown["VOXFORGE_SANDBOX_SPEED"] == "20"
    assert shown["VOXFORGE_WEBHOOK_RETRY_SCHEDULE"] == "30,300,1800,7200"
    assert shown["VOXFORGE_REDIS_URL"] == ""


def test_what_somebody_has_set(tmp_path: Path) -> None:
    assert configuration.chosen(settings_for(tmp_path, port=9000)) == {"VOXFORGE_DATA", "VOXFORGE_PORT"}


def test_a_name_that_is_not_a_setting(tmp_path: Path) -> None:
    env = {"VOXFORGE_PORT": "1", "VOXFORGE_REDISURL": "x", "VOXFORGE_API_KEY": "x", "PATH": "/bin"}

    (found,) = configuration.findings(settings_for(tmp_path), env)

    assert found.level is Level.NOTE
    assert found.says == "VOXFORGE_REDISURL is not a setting and does nothing"


def test_no_such_name(tmp_path: Path) -> None:
    (found,) = configuration.findings(settings_for(tmp_path), {"VOXFORGE_PORT": "1"})

    assert found.level is Level.OK
