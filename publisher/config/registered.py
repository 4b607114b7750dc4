"""`use` and `preset`: what publisher.toml takes from the registry, with the file's own keys on top."""

from __future__ import annotations

from typing import Any

from publisher import registry
from publisher.config.section import short, suggest


def expanded(raw: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the document with every `use` and `preset` spelled out, and a mistake for each that names nothing.

    What is not a table or a text is left as it is: checking it against the declared types says what is wrong.
    """
    mistakes: list[str] = []
    suites = raw.get("suites")
    if isinstance(suites, dict):
        raw = {**raw, "suites": {name: _suite(name, section, mistakes) for name, section in suites.items()}}
    model = raw.get("model")
    sampling = model.get("sampling") if isinstance(model, dict) else None
    if isinstance(model, dict) and isinstance(sampling, dict):
        raw = {**raw, "model": {**model, "sampling": sampling_of(sampling, mistakes)}}
    return raw, mistakes


def sampling_of(section: dict[str, Any], mistakes: list[str]) -> dict[str, Any]:
    """Return a `[model.sampling]` table with what its preset says; a name that is no preset is added to `mistakes`."""
    name = section.get("preset")
    if not isinstance(name, str) or not name:
        return section
    known = registry.preset_names()
    if name not in known:
        mistakes.append(f"model.sampling.preset: {short(name)} is none of {', '.join(known)}{suggest(name, known)}")
        return section
    return {**registry.preset(name), **section}


def _suite(name: str, section: Any, mistakes: list[str]) -> Any:
    """Return a `[suites.NAME]` table with what the registry says of the benchmark that it uses."""
    used = section.get("use") if isinstance(section, dict) else None
    if not isinstance(used, str) or not used:
        return section
    known = registry.suite_names()
    if used not in known:
        mistakes.append(f"suites.{name}.use: {short(used)} is none of {', '.join(known)}{suggest(used, known)}")
        return {"source": "unknown", **section}
    entry = registry.suite(used)
    if section.get("public") is True and not entry.republish:
        mistakes.append(f"suites.{name}.public: the statements of {used} may not be republished ({entry.licence})")
    source = section.get("source", "")
    if isinstance(source, str) and registry.elsewhere(source) and source != entry.source:
        mistakes.append(f"suites.{name}.source: beside use it can only be a path in the repository")
    own = {
        "source": entry.source,
        "grader": entry.grader,
        "samples": entry.samples,
        "public": entry.republish,
        "template": entry.template if entry.template != "{problem}" else "",
    }
    return {**own, **section}
