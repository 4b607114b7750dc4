"""The benchmarks that publisher knows by name, and sampling presets: one TOML file each, no code.

`[suites.NAME] use = "aime25"` and `[model.sampling] preset = "vibethinker-math"` take what these files say; any key
beside `use` or `preset` overrides it. A digest that nobody could check is `unverified`, never a guess: the first fetch
pins what it found.
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

UNVERIFIED = "unverified"
_FOLDER = Path(__file__).parent

Form = Literal["problems", "gsm8k", "humaneval", "mbpp", "livecodebench"]
"""How the rows of a source become problems; see `bench.inputs.normal`."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One benchmark: where it comes from, what may be done with it, and how it is measured."""

    title: str
    source: str
    """Where the problems are, as in `[suites] source`."""
    sha256: Annotated[str, Meta(pattern=r"^(unverified|[0-9a-f]{64})$")] = UNVERIFIED
    """The digest of the file at `source`; `unverified` where nobody could fetch it here."""
    problems: int
    licence: str
    republish: bool
    """Whether statements may stand on the site; otherwise it shows ids only."""
    language: str = "en"
    grader: str
    samples: int = 1
    """The usual k."""
    preset: str = ""
    """The sampling preset that it is usually measured with."""
    template: str = "{problem}"
    """The text around each statement."""
    form: Form = "problems"
    numbered: str = ""
    """The id of the row that has none: `aime25-{}`, with its number in place of the braces."""
    first: int = 1
    """The number of the first row."""
    fields: dict[str, str] = {}
    """The names of the fields `id`, `problem` and `answer` in the source, where they are others."""
    tags: list[str] = []
    """Fields of a row that become tags of its problem: each of their values gets a score of its own."""
    tabs: Literal["mistake", "space"] = "mistake"
    """What a tab in a statement is: a lost escape, or one that the source has on purpose."""
    since: str = ""
    """The first `contest_date` that counts (ISO 8601)."""
    before: str = ""
    """The first `contest_date` that does not."""
    notes: str = ""


def elsewhere(source: str) -> bool:
    """Return whether a source is fetched from outside the repository, and so needs a digest or a pin."""
    return source.startswith(("hf:", "https:", "http:", "git:", "s3:", "local:"))


def suite_names() -> list[str]:
    """Return the names of all benchmarks, in order."""
    return sorted(path.stem for path in (_FOLDER / "suites").glob("*.toml"))


@functools.cache
def suite(name: str) -> Entry:
    """Return the benchmark called `name`; KeyError where there is none."""
    if name not in suite_names():
        raise KeyError(name)
    return msgspec.convert(tomllib.loads((_FOLDER / "suites" / f"{name}.toml").read_text(encoding="utf-8")), Entry)


def preset_names() -> list[str]:
    """Return the names of all sampling presets, in order."""
    return sorted(path.stem for path in (_FOLDER / "sampling").glob("*.toml"))


@functools.cache
def preset(name: str) -> dict[str, Any]:
    """Return the options of `[model.sampling]` that a preset stands for; KeyError where there is none."""
    if name not in preset_names():
        raise KeyError(name)
    return tomllib.loads((_FOLDER / "sampling" / f"{name}.toml").read_text(encoding="utf-8"))
