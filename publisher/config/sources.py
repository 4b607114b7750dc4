"""Where a model or a suite comes from, as far as its name tells: what is wrong with it before anything is fetched."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from publisher import address, registry
from publisher.config.section import short, suggest

KINDS = ("builtin", "hf", "https", "http", "git", "s3", "local")
_FORMS = {
    "hf": (re.compile(r"hf:[^/@\s]+/[^/@\s]+@[^/\s]+/.+"), "hf:OWNER/REPO@REVISION/FILE"),
    "git": (re.compile(r"git:.+@([0-9a-f]{40}|[0-9a-f]{64}):.+"), "git:ADDRESS@COMMIT:PATH, with a full commit"),
    "s3": (re.compile(r"s3:[^/\s]+/.+"), "s3:BUCKET/KEY"),
    "local": (re.compile(r"local:[^/\s].*"), "local:NAME, a file in $PUBLISHER_MODELS"),
}
_SUITES = ("builtin:abacus",)
_MODELS = (*_SUITES, "builtin:abacus@early", "builtin:abacus@middle", "builtin:abacus@final")


def source_mistakes(path: str, source: str, sha256: str, *, pinned: bool = False) -> list[str]:
    """Return what is wrong with the source of the section `path`; one that is `pinned` needs no digest here."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", source)
    if scheme is None:
        parts = PurePosixPath(source)
        inside = parts.parts and not parts.is_absolute() and ".." not in parts.parts and "\n" not in source
        return [] if inside else [f"{path}.source: {short(source)} is not a path inside the repository"]
    kind = scheme[1]
    if kind not in KINDS:
        prefixes = [f"{known}:" for known in KINDS]
        kinds = f"{', '.join(prefixes[:-1])} or {prefixes[-1]}"
        return [f"{path}.source: {short(source)} is neither a path nor {kinds} …{suggest(f'{kind}:', prefixes)}"]
    if kind == "builtin":
        builtin = _MODELS if path == "model" else _SUITES
        here = source in builtin
        return [] if here else [f"{path}.source: {short(source)} does not exist{suggest(source, builtin)}"]
    mistakes = []
    if kind in {"http", "https"}:
        try:
            address.split(source)
        except ValueError as error:
            mistakes.append(f"{path}.source: not an address that can be fetched: {error}")
    elif not _FORMS[kind][0].fullmatch(source):
        mistakes.append(f"{path}.source: {short(source)} is not {_FORMS[kind][1]}")
    if registry.elsewhere(source) and not sha256 and not pinned:
        mistakes.append(f"{path}.sha256: required, because {short(source)} is fetched from elsewhere")
    return mistakes
