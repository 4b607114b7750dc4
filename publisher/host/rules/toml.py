"""Reading a `netlify.toml`, which may be hostile."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from publisher.errors import ConfigError

_DEEPEST = 32
_DEEP = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{_DEEPEST}}}""")


def read_toml(text: str) -> dict[str, Any]:
    """Return the document; ConfigError where it is not TOML, or is nested beyond any use."""
    # Reading a dotted key takes time in proportion to the square of its length: minutes, for one that fits a file.
    if _DEEP.search(text):
        raise ConfigError(f"netlify.toml: it has a key of more than {_DEEPEST} parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError("netlify.toml: it is nested too deeply") from error
    except ValueError as error:  # of tomllib, and of Python itself for an integer of thousands of digits
        raise ConfigError(f"netlify.toml: {error}") from error
