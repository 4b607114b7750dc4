"""A TOML file of a commit: its bytes to a document, and its mistakes to one message."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from publisher.config.check import MOST
from publisher.errors import ConfigError

LARGEST = 1 << 18
"""Bytes of the largest file that is read."""
DEEPEST = 32
_DEEP = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEEPEST}}}""")


def mistaken(where: str, mistakes: list[str]) -> ConfigError:
    """Return the error that lists the mistakes of a file, each with its place."""
    more = " or more" if len(mistakes) >= MOST else ""
    mistakes = mistakes[:MOST]
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)}{more} mistakes"
    lines = "".join(f"\n  {number}. {text}" for number, text in enumerate(mistakes, 1))
    return ConfigError(f"{where} has {count}:{lines}", hint=f"correct {where} and commit it")


def read(data: bytes, where: str) -> dict[str, Any]:
    """Return the TOML document in `data`, which may be hostile; ConfigError where it is none."""
    if len(data) > LARGEST:
        raise ConfigError(f"{where} is larger than {LARGEST} bytes", hint="keep texts and problems in suites")
    try:
        text = data.decode()
        # Reading a dotted key takes time in proportion to the square of its length.
        if _DEEP.search(text):
            raise ConfigError(f"{where} has a key of more than {DEEPEST} parts", hint=f"correct {where} and commit it")
        return tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problem = f"is not TOML: {error}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError:
        problem = "has a number with too many digits"
    raise ConfigError(f"{where} {problem}", hint=f"correct {where} and commit it")
