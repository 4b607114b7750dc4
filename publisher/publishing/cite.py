"""Citations of a published snapshot, in the forms that papers and repositories use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from publisher.address import host_of
from publisher.publishing.report import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.schema import Receipt, Record

Form = Literal["bibtex", "cff", "plain"]
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
_LONGEST = 100
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_UNSAFE = re.compile(r"[^A-Za-z0-9:/._~-]")


@dataclass(frozen=True, slots=True)
class Citation:
    """What a citation says; every text is one harmless line."""

    title: str
    site: str
    commit: str
    date: str
    """ISO 8601, of the day on which the run ended."""
    score: str
    snapshot: str
    address: str
    manifest_sha256: str


def citation(record: Record, receipt: Receipt, headline: str) -> Citation:
    """Return the citation of a snapshot; `headline` is the suite whose score stands for it.

    Address and digest are the receipt's: the address never shows anything else, and the digest proves that.
    """
    result = next((one for one in record.results if one.suite == headline), record.results[0])
    points = f"{result.score:.1f} ± {result.stderr:.1f} points"
    return Citation(
        title=f"{one_line(record.model.name, _LONGEST)}: benchmark snapshot",
        site=host_of(receipt.address).partition(".")[0].rpartition("--")[2],
        commit=record.commit.sha,
        date=date[0] if (date := _DATE.match(record.finished)) else "",
        score=f"{one_line(result.suite, _LONGEST)}: {points}",
        snapshot=receipt.snapshot,
        # What could end a command of TeX or YAML is spelled as addresses spell it.
        address=_UNSAFE.sub(lambda mark: f"%{ord(mark[0]):02X}", f"{receipt.address.rstrip('/')}/"),
        manifest_sha256=receipt.manifest_sha256,
    )


def plain(found: Citation) -> str:
    """Return the citation as a sentence for a footnote."""
    return (
        f"{found.title} of commit {found.commit[:12]}, {found.date}. {found.score}. {found.address} "
        f"(manifest sha256:{found.manifest_sha256})"
    )


def bibtex(found: Citation) -> str:
    """Return the citation as an entry for BibTeX, which asks for the package url."""
    digest = found.manifest_sha256
    fields = {
        "title": f"{{{_tex(found.title)}}}",
        "author": f"{{{_tex(found.site)}}}",
        "year": found.date[:4],
        "month": found.date[5:7].lstrip("0"),
        "howpublished": rf"\url{{{found.address}}}",
        "note": f"Commit {found.commit[:12]}; {_tex(found.score)}; manifest sha256:{digest}",
    }
    lines = [f"  {name:<12} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{found.snapshot},", *lines, "}"])


def cff(found: Citation) -> str:
    """Return the citation as a CITATION.cff; texts are quoted as JSON, which is YAML too."""
    quoted = partial(json.dumps, ensure_ascii=False)
    return "\n".join(
        [
            "cff-version: 1.2.0",
            "message: Please cite the snapshot that you used.",
            f"title: {quoted(found.title)}",
            f"abstract: {quoted(found.score)}",
            "type: dataset",
            f"date-released: {quoted(found.date)}",
            f"commit: {quoted(found.commit)}",
            f"url: {quoted(found.address)}",
            "identifiers:",
            "  - type: other",
            f"    value: {quoted(f'sha256:{found.manifest_sha256}')}",
            "    description: The SHA-256 of the snapshot's manifest.json",
            "authors:",
            f"  - name: {quoted(found.site)}",
        ]
    )


FORMS: dict[Form, Callable[[Citation], str]] = {"bibtex": bibtex, "cff": cff, "plain": plain}


def _tex(text: str) -> str:
    """Return a text in which nothing means anything to TeX."""
    return re.sub(r"[\\~^&%$#_{}]", lambda mark: _SPECIAL[mark[0]], text)
