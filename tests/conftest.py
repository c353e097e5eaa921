"""Fixtures for every test."""

pytest_plugins = ["tests.support.servers", "tests.support.runtime", "tests.support.api"]
