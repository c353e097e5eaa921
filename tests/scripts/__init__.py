"""Tests of the repository's own commands."""
