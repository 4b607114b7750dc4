"""Whether a snapshot's own model can answer in a reader's browser, and where its file is on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.config import FILE, parse
from publisher.errors import ConfigError
from publisher.files import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from publisher.schema import ModelIdentity, PromptIdentity

LARGEST_SHIPPED = 10_000_000
"""Bytes of the largest model file that a deploy carries; a larger one is chosen from the reader's disk."""
LARGEST = 2_000_000_000
"""Bytes of the largest file that a browser can hash in one piece."""
_BUILTIN = Path(__file__).resolve().parents[1] / "bench" / "inputs" / "builtin"


@dataclass(frozen=True, slots=True)
class Trial:
    """What the page needs to know that the record does not say."""

    model: Path | None
    """The model's file, where the deploy carries it; None where readers choose it from their disk."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """The prompt template of each suite, by name; a suite that is not in it offers no problems."""


def trial(tree: Path, model: ModelIdentity, prompt: PromptIdentity) -> Trial | None:
    """Return what a trial of the model needs; None where the site has no such page.

    It has one where the tree or this installation holds the model's very file and it is small, or where `[site]` of
    publisher.toml asks for one; never where `[site]` rules it out, or the file is too large for any browser.
    """
    try:
        config = parse((tree / FILE).read_bytes(), FILE)
    except (ConfigError, OSError):
        # The page of an older snapshot must not fail for a section that was spelled differently then.
        config = None
    wanted = config.site.try_model if config else "auto"
    if wanted == "no" or model.size > LARGEST:
        return None
    found = _shipped(tree, model)
    if found is None and wanted == "auto":
        return None
    templates = {name: suite.template or prompt.template for name, suite in config.suites.items()} if config else {}
    return Trial(found, templates)


def _shipped(tree: Path, model: ModelIdentity) -> Path | None:
    """Return the model's file where it is small and its bytes are those of the record."""
    if not 0 < model.size <= LARGEST_SHIPPED:
        return None
    matching = (path for path in _candidates(tree, model.source) if path.stat().st_size == model.size)
    return next((path for path in matching if sha256_file(path) == model.sha256), None)


def _candidates(tree: Path, source: str) -> Iterator[Path]:
    """Yield regular files that could be the model: the builtin ones, or the one that the commit's tree holds."""
    if source.startswith("builtin:"):
        yield from sorted(_BUILTIN.glob("*.gguf"))
        return
    try:
        path = (tree / source).resolve()
        if path.is_relative_to(tree.resolve()) and path.is_file():
            yield path
    except (OSError, ValueError):
        return
