"""README's code blocks are followed: commands, options, targets and the whole publisher.toml are real.

The commands of "Adopt it" are run, in `test_first_hour.py`.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from publisher.cli import group
from publisher.config import parse
from publisher.graders import mistake_in
from tests import readme

ROOT = readme.README.parent
PAGES = [readme.README, *sorted((ROOT / "docs").glob("*.md"))]


def test_the_configuration_is_valid() -> None:
    """The block in README parses as it stands, once its two placeholders are filled in."""
    (text,) = readme.blocks("toml")
    text = text.replace('"…"', f'"{"a" * 64}"').replace("OWNER/REPO@REVISION", f"o/r@{'b' * 40}")
    config = parse(text.encode(), "README.md", graders=mistake_in)
    assert config.headline == "aime25"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_exists(page: Path) -> None:
    """What a page tells people to type is known to the command line."""
    for words in readme.commands(page):
        problem = unknown(words[1:])
        assert not problem, f"{page.name}: {shlex.join(words)}: {problem}"


def test_what_is_installed_and_made_exists() -> None:
    """The extras that pip is told are declared, and so are the targets of make."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lines = [line for block in readme.blocks("sh") for line in readme.typed(block)]
    extras = {name for line in lines for names in re.findall(r"\[([a-z,]+)\]", line) for name in names.split(",")}
    assert extras
    assert extras <= set(declared)
    targets = {words[1] for line in lines if (words := line.split())[0] == "make"}
    assert targets
    assert targets <= set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))


def unknown(words: list[str]) -> str:
    """Return what of a command line is not known, or nothing."""
    command: click.Command = group
    context = click.Context(command)
    while words:
        word, *words = words
        if word.startswith("--"):
            name = word.partition("=")[0]
            option = next(
                (one for one in command.get_params(context) if name in [*one.opts, *one.secondary_opts]), None
            )
            if option is None:
                return f"{name} is no option of {command.name or 'publisher'}"
            takes_value = isinstance(option, click.Option) and not option.is_flag and "=" not in word
            words = words[1:] if takes_value else words
        elif isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(context, word.rstrip(","))
            if found is None:
                return f"{word} is no command"
            command = found
    return ""
