"""The worker process of the graders `regex` and `json-schema`: says whether a text matches a pattern or a schema.

A schema's `$ref` reaches the schema itself and the published drafts, never a file or an address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
from jsonschema.validators import validator_for
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from publisher.graders.comparison import Reply
from publisher.graders.worker import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEWEST = jsonschema.Draft202012Validator


def schema_mistake(text: str) -> str:
    """Return why a text is no JSON Schema, or nothing."""
    try:
        schema = msgspec.json.decode(text)
        if not isinstance(schema, dict):
            return "not a JSON Schema: it must be an object"
        if not isinstance(schema.get("$schema", ""), str):
            return "not a JSON Schema: its $schema is not text"
        validator_for(schema, default=_NEWEST).check_schema(schema)
        return next(_dangling(schema), "")
    except (msgspec.MsgspecError, RecursionError) as error:
        return f"not JSON: {error}"
    except jsonschema.SchemaError as error:
        return f"not a JSON Schema: {error.json_path}: {error.message[:200]}"


def _dangling(schema: Any) -> Iterator[str]:
    """Yield what a schema refers to outside of itself: at grading, an error of just those answers that come upon it."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.values()
            refers = node.get("$ref")
            if isinstance(refers, str) and not refers.startswith("#"):
                yield f"it refers to {refers[:80]!r}, which is not in it"
        elif isinstance(node, list):
            waiting += node


def decide(what: str, expected: str, flags: list[str], text: str) -> Reply:
    """Return whether a text matches a pattern (`regex`) or a schema (`json-schema`)."""
    return _matches(expected, flags, text) if what == "regex" else _conforms(expected, text)


def _matches(pattern: str, flags: list[str], text: str) -> Reply:
    try:
        compiled = re.compile(pattern, re.IGNORECASE if "ignore-case" in flags else 0)
    except re.error as error:
        return Reply("failed", f"the expected answer is not a regular expression: {error}")
    found = compiled.fullmatch(text) if "full" in flags else compiled.search(text)
    return Reply("equal") if found else Reply("different", "the pattern does not match")


def _conforms(expected: str, text: str) -> Reply:
    try:
        document: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return Reply("unreadable", f"not JSON: {error}")
    schema = msgspec.json.decode(expected)
    validator = validator_for(schema, default=_NEWEST)(
        schema, registry=EMPTY_REGISTRY, format_checker=_NEWEST.FORMAT_CHECKER
    )
    try:
        first = next(iter(validator.iter_errors(document)), None)
    except (Unresolvable, re.error) as error:
        return Reply("failed", f"the expected schema cannot be used: {str(error)[:200]}")
    except RecursionError:
        return _too_deep(validator)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - such as a number that no arithmetic takes: no such document conforms
        return Reply("different", f"cannot be validated ({type(error).__name__})")
    if first is None:
        return Reply("equal")
    return Reply("different", f"{first.json_path}: {first.message[:200]}")


def _too_deep(validator: Any) -> Reply:
    """Return whose fault it is that validation never ends: the schema's if it does not end for `null` either."""
    try:
        validator.is_valid(None)
    except RecursionError:
        return Reply("failed", "the expected schema refers to itself without end")
    return Reply("different", "nested too deeply")


def main() -> None:
    """Answer questions from standard input until it ends."""
    serve(lambda question: decide(*question))


if __name__ == "__main__":
    main()
