"""From the text in a URL, query or path, to GraphQL variables, by the declared type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from urllib.parse import unquote_to_bytes

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    is_specified_scalar_type,
)

from app.rest.inputs import value_reader
from app.rest.leaves import Read, Refused
from schema.errors import Invalid


def read_query(type: GraphQLInputType, text: str, name: str) -> object:
    """Query or path text as the variable of that type. Raises Invalid; TypeError for a type that text cannot give."""
    try:
        return _text_reader(type)(text)
    except Refused as refused:
        raise Invalid(refused.sentence(name, name)) from None


def query_parameters(query_string: bytes) -> dict[str, str]:
    """The parameters of a URL's query. Raises Invalid for one that is repeated or is not UTF-8."""
    found: dict[str, str] = {}
    for pair in query_string.split(b"&"):
        if not pair:
            continue
        key, _, value = pair.replace(b"+", b" ").partition(b"=")
        try:
            name, text = unquote_to_bytes(key).decode(), unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            raise Invalid("The query string is not UTF-8") from None
        if name in found:
            raise Invalid(f"Query parameter '{name[:100]}' was given more than once")
        found[name] = text
    return found


@lru_cache(maxsize=4096)
def _text_reader(type: GraphQLInputType) -> Callable[[str], object]:
    if isinstance(type, GraphQLNonNull):
        return _text_reader(type.of_type)
    if isinstance(type, (GraphQLList, GraphQLInputObjectType)):
        raise TypeError(f"{type} cannot be given in a URL")
    read = value_reader(type)
    if isinstance(type, GraphQLEnumType):
        return read
    if not is_specified_scalar_type(type):
        return partial(_read_scalar_text, read)
    convert = _FROM_TEXT.get(type.name)
    return read if convert is None else lambda text: read(convert(text))


def _read_scalar_text(read: Read, text: str) -> object:
    try:
        return read(text)
    except Refused as refused:
        if " " not in text:
            raise
        # A `+` that was not percent-encoded, as in 2025-02-01T09:00:00+01:00, has come as a space.
        try:
            return read(text.replace(" ", "+"))
        except Refused:
            raise refused from None


def _int_of(text: str) -> object:
    return int(text) if re.fullmatch(r"-?[0-9]{1,100}", text) else text


def _float_of(text: str) -> object:
    return float(text) if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text) else text


def _boolean_of(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


_FROM_TEXT: Mapping[str, Callable[[str], object]] = {"Int": _int_of, "Float": _float_of, "Boolean": _boolean_of}
