"""The options of graders: `NAME:OPTION=VALUE,…` to a grader, each option declared once as a field with its bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from publisher.config.section import short, suggest
from publisher.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.graders import Grader, ReadFile

LONGEST = 500
"""Characters of a grader's name with its options."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a suite can set of a grader; a subclass declares each option as a field."""


def build(graders: Mapping[str, type[Grader]], spec: str, read: ReadFile | None) -> Grader:
    """Return the grader that `spec` names; ConfigError where there is none, or its options are wrong."""
    if len(spec) > LONGEST:
        raise ConfigError(f"a grader's name and options are longer than {LONGEST} characters")
    if spec in graders:
        return _made(graders[spec], spec, "", read)
    name, _, rest = spec.partition(":")
    if name not in graders:
        raise ConfigError(f"{short(spec)} is none of {', '.join(graders)}{suggest(spec, graders)}")
    return _made(graders[name], name, rest, read)


def _made(kind: Any, name: str, rest: str, read: ReadFile | None) -> Grader:
    """Return a grader of `kind`, made in the way that it declares."""
    if hasattr(kind, "named"):  # its own form of options: a file of the commit
        grader: Grader = kind.named(rest, read)
        return grader
    declared: type[Options] | None = getattr(kind, "Options", None)
    if declared is None:
        if rest:
            raise ConfigError(f"the grader {name!r} has no options, but {short(rest)} was given")
        made: Grader = kind()
        return made
    configured: Grader = kind(_options(declared, name, rest))
    return configured


def _options(declared: type[Options], name: str, rest: str) -> Options:
    """Return the options in `rest`; ConfigError with what is wrong, and what there is."""
    given: dict[str, str] = {}
    known = [field.encode_name for field in msgspec.structs.fields(declared)]
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        key = key.strip()
        if key not in known:
            raise ConfigError(f"the grader {name!r} has no option {short(key)}, only {', '.join(known)}")
        if not equals:
            raise ConfigError(f"the option {key!r} of the grader {name!r} needs a value: {key}=…")
        if key in given:
            raise ConfigError(f"the option {key!r} of the grader {name!r} is given twice")
        given[key] = value.strip()
    try:
        return msgspec.convert(given, declared, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise ConfigError(f"the option {where.rstrip('`')!r} of the grader {name!r}: {what}") from error
