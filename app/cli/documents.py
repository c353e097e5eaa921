"""`voxforge openapi` and `voxforge schema`: the documents that describe the API, on stdout."""

from __future__ import annotations

import typer

from app.cli.support import print_json

# ruff: noqa: PLC0415 (the graph takes a second to load, and only these two commands need it)


def openapi() -> None:
    """Print the OpenAPI document of the REST API."""
    from app.openapi import document
    from schema.settings import load_settings

    print_json(document(load_settings()))


def print_schema() -> None:
    """Print the GraphQL schema."""
    from schema.graph.root import sdl

    typer.echo(sdl().rstrip("\n"))
