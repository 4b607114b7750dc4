"""The JSON Schema of `publisher.toml`, made from its declarations, for editors that complete and check TOML.

An editor finds structural mistakes: unknown keys, wrong types and bounds, rules that do not exist. What only shows
between sections, such as a suite that no tier names, `publisher` says itself.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from publisher import registry
from publisher.config.document import FILE, Config
from publisher.config.gate import AnyRule
from publisher.sentences import sentences

NAME = "publisher.schema.json"
"""The file beside publisher.toml that its first line names."""
_NAMES = {"type": "string", "pattern": r"^[a-z0-9][a-z0-9._-]{0,63}$"}
"""What the keys of a table of names are: suites, tiers and metrics."""


def json_schema() -> dict[str, Any]:
    """Return the schema as plain values, in draft 7, which Taplo and its editors understand."""
    _, found = msgspec.json.schema_components([Config], ref_template="#/definitions/{name}")
    definitions = {name: _without_null(part) for name, part in found.items()}
    for kind in _kinds(Config):
        _describe(definitions[kind.__name__], kind)
    _loosen(definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": FILE,
        "$ref": "#/definitions/Config",
        "definitions": definitions,
    }


def _kinds(kind: Any) -> list[type[msgspec.Struct]]:
    """Return every section that a section is made of, itself included."""
    found: dict[str, type[msgspec.Struct]] = {}
    waiting = [msgspec.inspect.type_info(kind)]
    while waiting:
        info: Any = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls.__name__ in found:
                continue
            found[info.cls.__name__] = info.cls
            waiting += [field.type for field in info.fields]
        inner = (getattr(info, name, None) for name in ("type", "item_type", "value_type"))
        waiting += [one for one in inner if one is not None]
        waiting += getattr(info, "types", ())
    return list(found.values())


def _describe(part: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Give each option the sentence that stands under it, before what its bounds say."""
    said = sentences(kind)
    for name, option in part["properties"].items():
        texts = [said.get(name, ""), option.get("description", "")]
        text = "\n\n".join(text for text in texts if text)
        if "$ref" in option:
            # In draft 7 nothing counts beside a reference.
            part["properties"][name] = {"allOf": [{"$ref": option["$ref"]}], **({"description": text} if text else {})}
        elif text:
            option["description"] = text


def _loosen(definitions: dict[str, Any]) -> None:
    """Say what the types alone do not: what `use` and `preset` bring, and how names are formed."""
    suite = definitions["SuiteConfig"]
    del suite["required"]
    suite["anyOf"] = [{"required": ["source"]}, {"required": ["use"]}]
    suite["properties"]["use"]["enum"] = ["", *registry.suite_names()]
    definitions["SamplingConfig"]["properties"]["preset"]["enum"] = ["", *registry.preset_names()]
    for name in ("suites", "tiers", "metrics"):
        definitions["Config"]["properties"][name]["propertyNames"] = _NAMES
    for kind in get_args(AnyRule):
        definitions[kind.__name__]["properties"]["rule"] = {"const": kind.__struct_config__.tag}


def _without_null(value: Any) -> Any:
    """Return a schema without the alternative null, which TOML does not have."""
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _without_null(item) for key, item in value.items() if not (key == "default" and item is None)}
    options = [option for option in plain.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        return {**{key: item for key, item in plain.items() if key != "anyOf"}, **options[0]}
    return {**plain, "anyOf": options} if options else plain
