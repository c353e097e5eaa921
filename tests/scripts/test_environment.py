"""The promises of `scripts/run` and `scripts/test`: they say when Python is too old, and install what is pinned."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]


@pytest.mark.parametrize("name", ["environment.py", "dashboard.py", "run", "test", "check"])
def test_an_old_python_can_read_the_scripts(name: str) -> None:
    ast.parse((ROOT / "scripts" / name).read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_versions_and_hashes_and_no_addresses(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()

    pin = re.compile(r"[a-z0-9.-]+==\S+( ; .+)? \\")
    digest = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not pin.fullmatch(line) and not digest.fullmatch(line)] == []


def test_everything_that_is_installed_to_run_is_tested_with_in_the_same_version() -> None:
    run, test = ({line for line in (ROOT / name).read_text().splitlines() if "==" in line} for name in LOCKS)

    assert run - test == set()


def test_the_locks_hold_what_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    run, test = ((ROOT / name).read_text() for name in LOCKS)

    assert _absent(project["project"]["dependencies"] + groups["build"], run) == []
    assert _absent(groups["dev"], test) == []


def _absent(requirements: list[str], lock: str) -> list[str]:
    pins = [re.sub(r"\[.*?\]", "", requirement.partition(";")[0]) for requirement in requirements]
    return [pin for pin in pins if not re.search(rf"^{re.escape(pin)} ", lock, flags=re.MULTILINE)]
