"""The API's own description, asked what it says of a request or an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

from app.openapi import document
from tests.support.runtime import settings_for


class Description:
    """An OpenAPI document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, path and object of each."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield method.upper(), path, operation

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The operation that a request to that path, without its query, is for."""
        known = self.document["paths"]
        literal = [path] if path in known else []
        found = literal or [
            each
            for each in known
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each), path) and method.lower() in known[each]
        ]
        return known[found[0]][method.lower()]

    def resolve(self, value: Any) -> Any:
        """The value, or what it refers to."""
        if isinstance(value, dict) and "$ref" in value:
            target: Any = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            return target
        return value

    def validator(self, schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
        """A validator of a schema of this document; formats are asserted."""
        return jsonschema_rs.Draft202012Validator({**schema, "components": self._components}, validate_formats=True)

    def body(self, method: str, path: str) -> jsonschema_rs.Draft202012Validator:
        """The validator of what is sent there."""
        return self.validator(self.operation(method, path)["requestBody"]["content"]["application/json"]["schema"])

    def event(self, event: str) -> jsonschema_rs.Draft202012Validator:
        """The validator of a webhook's body."""
        content = self.document["webhooks"][event]["post"]["requestBody"]["content"]
        return self.validator(content["application/json"]["schema"])

    def complaints(self, method: str, path: str, status: int, headers: Mapping[str, str], content: Any) -> list[str]:
        """What of an answer is not as described; `content` None is an empty one."""
        responses = self.operation(method, path)["responses"]
        if str(status) not in responses:
            return [f"{method} {path} is not said to answer {status}: {content}"]
        response = self.resolve(responses[str(status)])
        missing = [
            f"{method} {path} {status} lacks the header {name}"
            for name, header in response["headers"].items()
            if self.resolve(header).get("required") and name not in headers
        ]
        if "content" not in response:
            return missing + ([] if content is None else [f"{method} {path} {status} has a body"])
        validator = self.validator(response["content"]["application/json"]["schema"])
        errors = [
            f"{method} {path} {status}: {error.instance_path} {error.message}"
            for error in validator.iter_errors(content)
        ]
        return missing + errors

    @cached_property
    def _components(self) -> Mapping[str, Any]:
        return {"schemas": self.document["components"]["schemas"]}


def schemas_in(value: Any) -> Iterator[dict[str, Any]]:
    """Everything that stands where a schema does."""
    if isinstance(value, dict):
        for key, held in value.items():
            if key == "schema":
                yield held
            yield from schemas_in(held)
    elif isinstance(value, list):
        for held in value:
            yield from schemas_in(held)


def references_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every object that refers to another."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value
        for held in value.values():
            yield from references_in(held)
    elif isinstance(value, list):
        for held in value:
            yield from references_in(held)


SETTINGS = settings_for(Path("unused"), public_url="https://voice.example.com")
DESCRIPTION = Description(document(SETTINGS))
