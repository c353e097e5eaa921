"""What is imported is declared: a package that another one brings may be gone with its next version."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
OURS = ("app", "schema", "workers")


def imported(*packages: str) -> set[str]:
    """Top-level names of other people's packages that those of our packages import."""
    names = set()
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module)
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - set(OURS)


def test_every_package_that_is_imported_is_a_dependency_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {line.partition("==")[0].partition("[")[0].lower() for line in project["dependencies"]}
    distributions = packages_distributions()

    def declares(name: str) -> bool:
        return any(each.lower().replace("_", "-") in declared for each in distributions[name])

    undeclared = {name for name in imported(*OURS) if not declares(name)}

    assert undeclared == set()


def test_every_dependency_is_pinned_and_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs/decisions/dependencies.md").read_text().lower()

    for line in project["dependencies"]:
        name, _, version = line.partition("==")
        assert version, f"{name} is not pinned"
        assert name.partition("[")[0].lower() in reasons, f"{name} has no reason"
