"""What `Dockerfile`, `compose.yml` and `.dockerignore` rely on is so: commands, settings, packages, a Python."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from app.cli.root import commands
from app.stopping import GRACE_S
from schema.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "voxforge"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions(name: str) -> list[str]:
    """What follows that instruction, each time, on one line."""
    text = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith(f"{name} ")]


def status_of(words: list[str]) -> int:
    """0 if `voxforge` has that command and takes those options, else 2; it is not run, for `--help` is asked for."""
    return CliRunner().invoke(commands, [*words, "--help"]).exit_code


@pytest.mark.parametrize("name", OURS)
def test_each_service_runs_a_command_that_there_is(name: str) -> None:
    assert status_of(OURS[name]["command"]) == 0


def test_the_image_runs_a_command_that_there_is() -> None:
    [program], [default] = map(json.loads, instructions("ENTRYPOINT")), map(json.loads, instructions("CMD"))

    assert program == ["voxforge"]
    assert "voxforge" in PROJECT["project"]["scripts"]
    assert status_of(default) == 0


@pytest.mark.parametrize("words", [["serves"], ["serve", "--threads", "2"], ["keys", "make"]])
def test_a_command_that_there_is_not_is_noticed(words: list[str]) -> None:
    assert status_of(words) == 2


def test_there_are_two_of_serve_and_of_work_once_the_database_is_migrated() -> None:
    for name in ("serve", "work"):
        assert OURS[name]["command"] == [name]
        assert OURS[name]["deploy"]["replicas"] == 2
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert OURS["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_all_of_them_share_a_data_directory_and_may_stop_in_their_own_time() -> None:
    for service in OURS.values():
        assert service["environment"]["VOXFORGE_DATA"] == "/data"
        assert service["volumes"] == ["data:/data"]
        assert float(service["stop_grace_period"].removesuffix("s")) > GRACE_S
    assert instructions("VOLUME") == ["/data"]


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE])
def test_every_setting_that_is_named_is_one(text: str) -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", text))

    assert named
    assert named <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_what_must_be_said_is_asked_for() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    optional = set(re.findall(r"\$\{(\w+):-", COMPOSE))

    assert required == {"POSTGRES_PASSWORD", "VOXFORGE_PUBLIC_URL"}
    assert required | optional == set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE))


def test_the_python_is_one_that_we_support() -> None:
    images = {image.split()[0] for image in instructions("FROM")}
    [version] = {re.fullmatch(r"python:(3\.\d+)-slim-bookworm", image)[1] for image in images}

    assert f"Programming Language :: Python :: {version}" in PROJECT["project"]["classifiers"]


def test_the_image_is_made_from_what_the_wheel_is_made_from() -> None:
    sources = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    others = {"pyproject.toml", "requirements.lock", *PROJECT["project"]["license-files"]}
    assert sorted(sources) == sorted({*packages, *others})
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(sources)


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """One that answers `/readyz` with its attribute `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(server.status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_a_container_is_healthy_while_its_server_is_ready(server: Any, status: int, code: int) -> None:
    [(_, _, check)] = [each.partition(" CMD ") for each in instructions("HEALTHCHECK")]
    python, *arguments = json.loads(check)
    server.status = status

    port = str(server.server_address[1])
    done = subprocess.run([sys.executable, *arguments], env={"VOXFORGE_PORT": port}, check=False)

    assert (python, done.returncode) == ("python", code)


def test_nothing_is_fetched_but_by_name() -> None:
    """Where packages and images come from is for whoever builds to say."""
    words = [word for line in instructions("RUN") for word in shlex.split(line.replace(";", " "))]

    assert not [word for word in words if "index" in word and word != "--no-index"]
    assert not re.findall(r"https?://(?!serve:|voice\.example\.com)\S+", DOCKERFILE + COMPOSE)
