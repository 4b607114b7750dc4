"""The suite that a `[suites.NAME]` section describes: a file of the commit or from elsewhere, or a known benchmark."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.bench.inputs.problems import parse
from publisher.bench.inputs.registered import builtin_path, kind_of, provide
from publisher.bench.inputs.sources import check_digest, fetch
from publisher.errors import StorageError

if TYPE_CHECKING:
    from publisher.bench.inputs.kind import Inputs
    from publisher.bench.inputs.problems import Problem
    from publisher.config import SuiteConfig


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite's problems in the file's order, and the SHA-256 of the file."""

    name: str
    sha256: str
    problems: tuple[Problem, ...]
    public: bool
    template: str = ""
    """The text around each problem; empty for that of `[prompt]`."""


def load(name: str, section: SuiteConfig, inputs: Inputs) -> Suite:
    """Return the suite that a `[suites.NAME]` section describes.

    Raises SuiteError with every mistake of the file, or when it is missing or has another digest than declared.
    """
    kind = kind_of(f"suites.{name}")
    where = f"suite {name} ({section.source})"
    if section.use:
        path = provide(section, kind, inputs).path
    elif section.source.startswith("builtin:"):
        path = builtin_path(section.source)
    else:
        path = fetch(section.source, section.sha256, kind, inputs)
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            check_digest(digest, section.sha256, kind, section.source)
            stream.seek(0)
            problems = parse(stream, where, section.grader, public=section.public)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    return Suite(name, digest, problems, section.public, section.template)
