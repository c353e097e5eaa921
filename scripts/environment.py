"""Makes and updates the virtual environment in `.venv` from the lock files; shared by run, test and check.

Plain syntax throughout: a Python too old for VoxForge must still be able to read this file and say so.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

OLDEST_PYTHON = (3, 11)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
LOCKS = {"run": "requirements.lock", "test": "requirements-dev.lock"}


def require_python():
    """Go on with a Python that is new enough: this one, else one from PATH, else stop with one sentence."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for minor in range(OLDEST_PYTHON[1], OLDEST_PYTHON[1] + 4):
        newer = shutil.which("python3.%d" % minor)
        if newer and _succeeds(newer, "-c", "import venv, sys; sys.exit(sys.version_info < %r)" % (OLDEST_PYTHON,)):
            os.execv(newer, [newer] + sys.argv)
    sys.exit(
        "VoxForge needs Python %d.%d or newer; this is Python %d.%d, and no newer one is on PATH."
        % (OLDEST_PYTHON + sys.version_info[:2])
    )


def prepare(purpose):
    """Bring `.venv` up to date for "run" or "test"; a fraction of a second when nothing has changed."""
    if _is_current(purpose):
        return
    try:
        with one_at_a_time(".venv", __file__):
            if not _is_current(purpose):  # else another run has done it while we waited
                _install(purpose)
    except KeyboardInterrupt:
        sys.exit("Interrupted; the next start begins again.")


def tool(name):
    """The path of a program installed in `.venv`."""
    return os.path.join(VENV, "bin", name)


def call(*command):
    """Run a program at the root of the repository; returns its exit status."""
    try:
        return subprocess.call(command, cwd=ROOT)
    except KeyboardInterrupt:  # which the program, too, has received
        sys.exit(130)


def _install(purpose):
    started = time.monotonic()
    complete = os.path.join(VENV, ".complete")  # absent while we work, and after a run that was interrupted
    if not holds(complete, sys.version) or not _succeeds(tool("python"), "-c", ""):
        with step("Making .venv with Python %d.%d" % sys.version_info[:2]):
            _call(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
    else:
        os.remove(complete)
    uv = find_uv()
    with step("Installing the packages of " + LOCKS[purpose]):
        _call(uv, "pip", "install", "--quiet", "--python", VENV, "--require-hashes", "-r", LOCKS[purpose])
    with step("Installing VoxForge itself"):
        project = ["--editable", ".", "--no-deps", "--no-build-isolation", "--reinstall-package", "voxforge"]
        _call(uv, "pip", "install", "--quiet", "--python", VENV, *project)
    for each in ("run", "test") if purpose == "test" else ("run",):  # the lock for tests contains the other
        write(_stamp(each), _fingerprint(each))
    write(complete, sys.version)
    say("The environment is ready (%.1f s)." % (time.monotonic() - started))


def find_uv():
    """The path of uv, which installs in seconds: from PATH, from an earlier run, or installed by pip."""
    for uv in (shutil.which("uv"), tool("uv")):
        if uv and _succeeds(uv, "--version"):
            return uv
    with step("Installing uv"):
        requirement = os.path.join(VENV, "uv.txt")
        write(requirement, _locked("uv"))
        pip = [sys.executable, "-m", "pip", "--python", tool("python")]
        if not _succeeds(*pip, "--version"):
            if not _succeeds(tool("python"), "-m", "ensurepip"):
                sys.exit("This Python has no pip: install uv, or on Debian and Ubuntu python3-venv, and start again.")
            pip = [tool("python"), "-m", "pip"]
        _call(*pip, "install", "--quiet", "--require-hashes", "--no-input", "-r", requirement)
    return tool("uv")


def _locked(package):
    """The lines of the lock that pin one package."""
    with open(os.path.join(ROOT, LOCKS["run"])) as file:
        _, found, rest = file.read().partition("\n%s==" % package)
    return found.lstrip() + re.split(r"\n(?=\S)", rest, maxsplit=1)[0] + "\n"


def _is_current(purpose):
    return holds(_stamp(purpose), _fingerprint(purpose))


def _stamp(purpose):
    return os.path.join(VENV, ".installed-for-" + purpose)


def _fingerprint(purpose):
    """Changes when the lock, the project's metadata, the Python or the place of the repository changes."""
    digest = hashlib.sha256((sys.version + ROOT).encode())
    for name in (LOCKS[purpose], "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


@contextlib.contextmanager
def one_at_a_time(what, path):
    """Wait until no other run works on that; `path` is a file for the lock, outside of what is worked on."""
    import fcntl

    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another run to finish with %s …" % what)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def step(sentence):
    """Say what begins, and how long it took."""
    say(sentence + " …")
    started = time.monotonic()
    yield
    say("  %.1f s" % (time.monotonic() - started))


def _call(*command):
    result = subprocess.call(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    if result != 0:
        sys.exit("This failed (exit status %d): %s" % (result, " ".join(command)))


def _succeeds(*command):
    null = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdin=null, stdout=null, stderr=null) == 0
    except OSError:
        return False


def holds(path, text):
    """Whether there is a file that holds exactly this."""
    try:
        with open(path) as file:
            return file.read() == text
    except (FileNotFoundError, NotADirectoryError):
        return False


def write(path, text):
    """Make that file hold exactly this."""
    with open(path, "w") as file:
        file.write(text)


def say(line):
    """A line for whoever waits, on stderr: stdout belongs to what is started."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
