"""Prompts as files of the commit: `prompts/<name>.toml`, which `[prompt] use = "<name>"` names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from publisher.config.bench import PromptConfig
from publisher.config.check import check, control_characters
from publisher.config.reading import mistaken, read
from publisher.config.section import Section
from publisher.errors import ConfigError

FOLDER = "prompts"
PROBLEM = "{problem}"
"""What a template has in the problem's place."""


class PromptFile(Section, frozen=True, kw_only=True):
    """The whole of a prompt's file."""

    system: Annotated[str, Meta(max_length=20_000)] = ""
    template: Annotated[str, Meta(max_length=20_000)] = "{problem}"
    stop: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=16)] = msgspec.field(
        default_factory=list
    )
    notes: Annotated[str, Meta(max_length=20_000)] = ""


def path_of(name: str) -> str:
    """Return where a prompt is in the commit."""
    return f"{FOLDER}/{name}.toml"


def load(name: str, file: Callable[[str], bytes | None], where: str) -> PromptConfig:
    """Return the prompt called `name`; `file` gives the bytes of a path of the commit that `where` names.

    Raises ConfigError where there is no such prompt, or with every mistake in it.
    """
    path = path_of(name)
    data = file(path)
    if data is None:
        raise ConfigError(f"{where} has no {path}", hint=f"git add {path}")
    raw = read(data, f"{path} of {where}")
    mistakes: list[str] = []
    check(PromptFile, raw, "", mistakes)
    mistakes += control_characters(raw)
    if not mistakes:
        found = msgspec.convert(raw, PromptFile, strict=True)
        prompt = PromptConfig(
            use=name, system=found.system, template=found.template, stop=found.stop, notes=found.notes
        )
        mistakes = list(prompt_mistakes("", prompt))
        if not mistakes:
            return prompt
    raise mistaken(f"{path} of {where}", mistakes)


def prompt_mistakes(path: str, prompt: PromptConfig) -> Iterator[str]:
    """Yield what is wrong with a prompt's texts."""
    yield from template_mistakes(f"{path}template", prompt.template)


def template_mistakes(path: str, template: str) -> Iterator[str]:
    """Yield what is wrong with a text around each problem; a word in braces may be meant as the problem's."""
    if PROBLEM not in template:
        close = difflib.get_close_matches(PROBLEM, re.findall(r"\{{1,2}\w{1,40}\}{1,2}", template)[:20], n=1)
        meant = f"; did you mean {PROBLEM} where it says {close[0]}?" if close else ""
        yield f"{path}: {PROBLEM} does not occur in it, so every prompt would be the same{meant}"
