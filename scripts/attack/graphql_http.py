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
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PACKAGES = ("graphql-http@1.23.1", "graphql@16")
START_S = 60
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
    if shutil.which("npm") is None or shutil.which("node") is None:
        sys.exit("These audits are a program for Node: install Node 18 or newer, with npm, and try again.")
    with tempfile.TemporaryDirectory(prefix="voxforge-audit-") as name:
        directory = Path(name)
        (directory / "package.json").write_text('{"type": "module", "private": true}')
        (directory / "audit.mjs").write_text(AUDIT)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES]
        if subprocess.run(npm, cwd=directory, check=False).returncode:
            sys.exit("npm could not install graphql-http.")
        results = _audited(directory)
    _show(results)
    sys.exit(any(result["status"] == "error" for result in results))


def _audited(directory: Path) -> list[dict[str, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOXFORGE_")}
    environ = {**kept, "VOXFORGE_DATA": str(directory / "data"), "VOXFORGE_LOG_FORMAT": "json"}
    voxforge = str(Path(sys.executable).with_name("voxforge"))
    log = (directory / "server.log").open("wb")
    up = [voxforge, "up", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(up, env=environ, stdout=log, stderr=log)
    try:
        _wait(port, server)
        listed = subprocess.check_output([voxforge, "workspaces", "list", "--json"], env=environ)
        (workspace,) = json.loads(listed)
        plan = [voxforge, "workspaces", "set-plan", workspace["id"], "enterprise"]
        subprocess.run(plan, env=environ, check=True, stdout=subprocess.DEVNULL)
        key = subprocess.check_output([voxforge, "keys", "create", "--name", "audit"], env=environ).decode().strip()
        told = {**kept, "AT": f"http://127.0.0.1:{port}/graphql", "KEY": key}
        node = ["node", "audit.mjs"]
        output = subprocess.check_output(node, cwd=directory, env=told)
        found: list[dict[str, str]] = json.loads(output)
        return found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        log.close()


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("The server did not start.")


def _show(results: list[dict[str, str]]) -> None:
    """What is not kept, and how much is. `error` is a MUST, `warn` a SHOULD, `notice` a MAY."""
    for result in results:
        if result["status"] != "ok":
            print(f"{result['status']:7} {result['id']}  {result['name']}: {result.get('reason', '')}")
    for word, kind in (("ok", "kept"), ("error", "MUST not kept"), ("warn", "SHOULD not kept"), ("notice", "MAY not")):
        print(f"{sum(result['status'] == word for result in results):4} {kind}")


if __name__ == "__main__":
    main()
