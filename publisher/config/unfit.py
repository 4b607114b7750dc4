"""What else is wrong with a document that does not fit its types yet, so that all mistakes are told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from publisher.config.check import MOST
from publisher.config.prompts import template_mistakes
from publisher.config.section import short, suggest
from publisher.config.sources import source_mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator


def names_and_texts(raw: dict[str, Any]) -> list[str]:
    """Return the mistakes in names, templates and sources that show in the raw document, at most `MOST`."""
    found = [*_of_names(raw), *_of_texts(raw)]
    return found[:MOST]


def _of_names(raw: dict[str, Any]) -> Iterator[str]:
    """Yield the names of suites, in tiers and as the headline, that point nowhere."""
    known = [str(name) for name in _table(raw.get("suites"))]
    headline = _table(raw.get("gate")).get("headline")
    if isinstance(headline, str) and headline and headline not in known:
        yield f"gate.headline: no suite is called {short(headline)}{suggest(headline, known)}"
    for tier, section in _table(raw.get("tiers")).items():
        wanted = _table(section).get("suites")
        for suite in wanted if isinstance(wanted, list | dict) else []:
            if isinstance(suite, str) and suite not in known:
                yield f"tiers.{tier}.suites: no suite is called {short(suite)}{suggest(suite, known)}"


def _of_texts(raw: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with templates and with where the model and the suites come from."""
    prompt, model = _table(raw.get("prompt")), _table(raw.get("model"))
    if isinstance(prompt.get("template"), str):
        yield from template_mistakes("prompt.template", prompt["template"])
    if isinstance(model.get("source"), str) and model["source"]:
        yield from source_mistakes(
            "model", model["source"], str(model.get("sha256", "")), pinned=bool(model.get("shards"))
        )
    for name, section in _table(raw.get("suites")).items():
        suite = _table(section)
        if isinstance(suite.get("template"), str) and suite["template"]:
            yield from template_mistakes(f"suites.{name}.template", suite["template"])
        if isinstance(suite.get("source"), str) and suite["source"] and not suite.get("use"):
            yield from source_mistakes(f"suites.{name}", suite["source"], str(suite.get("sha256", "")))


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
