"""Chromium for the tests of the dashboard: installed where nobody has to be asked, else the tests say how."""

import os
import shutil
import subprocess

import environment

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT = [
    ["apt-get", "update", "-qq"],
    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
]


def prepare():
    """Install Debian's Chromium if there is none, for root on a machine with apt: a container, or CI."""
    if any(map(shutil.which, NAMES)) or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    with environment.step("Installing Chromium, which the dashboard's tests need"):
        quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for command in APT:
            if subprocess.call(command, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) != 0:
                environment.say("It could not be installed; those tests will say what is missing.")
                return
