"""The import law: `app → schema ← workers`, and in `schema`: `rules ← tables ← services ← graph`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What the modules under a name may import of our own; the longest name decides, and "-" takes back.
MAY_IMPORT = {
    "schema": "schema -schema.services -schema.graph",  # errors, settings, database, runtime and their like
    "schema.rules": "schema.rules schema.errors",
    "schema.tables": "schema.tables schema.rules schema.errors schema.database",
    "schema.services": "schema -schema.graph",
    "schema.graph": "schema",
    "app": "app schema",
    "app.main": "app schema workers",  # the composition root; workers only inside functions
    "app.working": "app schema workers",  # runs the workers, for `up` and `work`; only inside functions, too
    "app.rest": "app schema.graph schema.errors",  # so that no route bypasses the graph
    "workers": "workers schema -schema.graph",
}
CONFINED = {
    "strawberry": "schema.graph app.graphql",
    "starlette": "app workers.gateway",
    "dramatiq": "workers",
}


def violations(path: Path, source: str) -> Iterator[str]:
    """Every import that breaks the law, with its file and line. `path` is relative to the repository."""
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    law = MAY_IMPORT[_longest(module, MAY_IMPORT)]
    own = {name.lstrip("-"): not name.startswith("-") for name in law.split()}
    for line, imported, lazy in _imports(source):
        top = imported.partition(".")[0]
        if top in CONFINED and not _longest(module, CONFINED[top].split()):
            yield f"{path}:{line}: imports {imported}; {top} belongs only in: {CONFINED[top]}"
        elif top in ("app", "schema", "workers") and not own.get(_longest(imported, own), False):
            yield f"{path}:{line}: imports {imported}; {module} may import only: {law}"
        elif module in ("app.main", "app.working") and top == "workers" and not lazy:
            yield f"{path}:{line}: imports {imported} at once; a server without workers must not load them"


def _imports(source: str) -> Iterator[tuple[int, str, bool]]:
    """Line, full name, and whether the import waits inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the whole name instead of a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}", node.col_offset > 0) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, node.col_offset > 0) for alias in node.names)


def _longest(module: str, names: dict[str, object] | list[str]) -> str:
    return max((name for name in names if f"{module}.".startswith(f"{name}.")), key=len, default="")


def test_every_import_keeps_the_law() -> None:
    files = [path for top in ("app", "schema", "workers") for path in sorted((ROOT / top).rglob("*.py"))]

    broken = [each for path in files for each in violations(path.relative_to(ROOT), path.read_text())]

    assert files
    assert not broken, "\n".join(["The import law is broken:", *broken])


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("schema/rules/calls.py", "from schema.tables import calls"),
        ("schema/rules/calls.py", "import schema.clock"),
        ("schema/tables/calls.py", "from schema.services.calls import place"),
        ("schema/services/calls.py", "from schema import graph"),
        ("schema/services/calls.py", "import workers.broker"),
        ("schema/runtime.py", "def bell():\n    from schema.services import calls"),
        ("app/auth.py", "from workers.gateway import gateway"),
        ("app/main.py", "from workers.gateway import gateway"),
        ("app/working.py", "from workers.main import Unit"),
        ("app/serving.py", "def serve():\n    from workers.main import Unit"),
        ("app/rest/adapter.py", "from schema.services import calls"),
        ("workers/calls.py", "import schema.graph.root"),
        ("workers/calls.py", "from app.auth import viewer"),
        ("app/auth.py", "import strawberry"),
        ("workers/calls.py", "from starlette.responses import Response"),
        ("schema/due.py", "from dramatiq.brokers import stub"),
    ],
)
def test_a_broken_law_is_noticed(path: str, source: str) -> None:
    (message,) = violations(Path(path), source)

    assert message.startswith(f"{path}:{source.count(chr(10)) + 1}: imports ")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("schema/tables/calls.py", "from schema.database import Instant"),
        ("schema/services/calls.py", "from schema import runtime"),
        ("schema/graph/calls.py", "import strawberry\nfrom schema.services import calls"),
        ("app/working.py", "def work():\n    from workers.main import Unit"),
        ("app/main.py", "def create_app():\n    from workers.gateway import gateway"),
        ("app/rest/adapter.py", "from schema.graph.root import schema\nfrom starlette.routing import Route"),
        ("workers/gateway.py", "import starlette.routing\nfrom schema.services import calls"),
        ("workers/broker.py", "import dramatiq"),
    ],
)
def test_what_the_law_allows_passes(path: str, source: str) -> None:
    assert list(violations(Path(path), source)) == []
