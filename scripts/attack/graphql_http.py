"""The audits of the npm package graphql-http against a server of our own: `scripts/attack/run graphql-http`.

It needs Node and npm on the machine; the package is installed into a directory that is thrown away. Fails when one of
the specification's MUSTs is not kept.

Not followed on purpose: GET, which the contract has not (MAY), and the media type `application/graphql-response+json`
with its own statuses (SHOULD): whatever reaches GraphQL is answered 200 in `application/json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from production import production_server

PACKAGES = ("graphql-http@1.23.1", "graphql@16")
AUDIT = """
import { auditServer } from "graphql-http";
const { AT, KEY } = process.env;
const fetchFn = (url, options = {}) =>
  fetch(url, { ...options, headers: { ...options.headers, authorization: `Bearer ${KEY}` } });
const results = await auditServer({ url: AT, fetchFn });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
"""


def main() -> None:
    """Install, start, audit, print."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        sys.exit("These audits are a program for Node: install Node 18 or newer, with npm, and try again.")
    with tempfile.TemporaryDirectory(prefix="voxforge-audit-") as name:
        directory = Path(name)
        (directory / "package.json").write_text('{"type": "module", "private": true}')
        (directory / "audit.mjs").write_text(AUDIT)
        install = [npm, "install", "--no-audit", "--no-fund", "--silent", *PACKAGES]
        if subprocess.run(install, cwd=directory, check=False).returncode:
            sys.exit("npm could not install graphql-http.")
        results = _audited(directory, node)
    _show(results)
    sys.exit(any(result["status"] == "error" for result in results))


def _audited(directory: Path, node: str) -> list[dict[str, str]]:
    # One of the audits asks for `__type`, which is refused where nobody may ask what the schema is.
    with production_server(directory, VOXFORGE_GRAPHQL_INTROSPECTION="true") as server:
        server.lift_limits()
        told = {**os.environ, "AT": f"{server.url}/graphql", "KEY": server.new_key()}
        found: list[dict[str, str]] = json.loads(subprocess.check_output([node, "audit.mjs"], cwd=directory, env=told))
        return found


def _show(results: list[dict[str, str]]) -> None:
    """What is not kept, and how much is. `error` is a MUST, `warn` a SHOULD, `notice` a MAY."""
    for result in results:
        if result["status"] != "ok":
            print(f"{result['status']:7} {result['id']}  {result['name']}: {result.get('reason', '')}")
    for word, kind in (("ok", "kept"), ("error", "MUST not kept"), ("warn", "SHOULD not kept"), ("notice", "MAY not")):
        print(f"{sum(result['status'] == word for result in results):4} {kind}")


if __name__ == "__main__":
    main()
