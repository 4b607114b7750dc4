"""Benchmarks by name: fetch what the registry names, make it a suite, look at it, and pin it on this machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from publisher import registry
from publisher.bench.inputs import golds, hub, pins
from publisher.bench.inputs.builtin_files import BUILTIN, REINSTALL
from publisher.bench.inputs.kind import Kind
from publisher.bench.inputs.normal import normalised
from publisher.bench.inputs.problems import parse
from publisher.bench.inputs.sources import fetch, is_whole, obtain
from publisher.errors import SuiteError
from publisher.files import sha256_file, storage_error

if TYPE_CHECKING:
    from publisher.bench.inputs.kind import Inputs
    from publisher.config import SuiteConfig
    from publisher.registry import Entry

MAX_FILE = 256 << 20
"""Bytes of a suite file, and of the file that one is made of."""


@dataclass(frozen=True, slots=True)
class Provided:
    """A benchmark as a suite file of the cache: its digest, and that of the file that it was made of."""

    path: Path
    sha256: str
    source_sha256: str
    problems: int
    new: bool
    """Whether it was fetched just now."""


def kind_of(section: str) -> Kind:
    """Return what a suite file is for; `section` is its place in publisher.toml."""
    return Kind("suite", section, SuiteError, MAX_FILE, ".jsonl")


def builtin_path(source: str) -> Path:
    """Return the file of a builtin suite; SuiteError where there is none."""
    if source != "builtin:abacus":
        raise SuiteError(f"there is no suite {source!r}", hint="builtin:abacus is the only builtin suite")
    path = BUILTIN / "abacus.jsonl"
    if not path.is_file():
        raise SuiteError(f"this installation lacks {path.name}", hint=REINSTALL)
    return path


def provide(section: SuiteConfig, kind: Kind, inputs: Inputs, *, renew: bool = False) -> Provided:
    """Return the benchmark that a section uses, fetched and pinned first where it is not on this machine yet.

    With `renew` it is fetched anew, and what is found takes the place of the pin. Raises SuiteError where the file has
    not the digest that the registry, the pin or publisher.toml names, or makes no good suite; NetworkError, GitError or
    StorageError.
    """
    name, entry = section.use, registry.suite(section.use)
    pin = None if renew else pins.read(inputs.cache, name, section.source)
    wanted = section.sha256 or (pin.sha256 if pin else "")
    target = inputs.cache / kind.folder / f"{wanted}{kind.suffix}"
    if wanted and not renew and is_whole(target, wanted):
        return Provided(target, wanted, pin.source_sha256 if pin else "", pin.problems if pin else 0, False)
    path, found = _source(section, entry, kind, inputs)
    _check_source(found, section, entry, kind, pin)
    made = install(path, found, section, kind, inputs)
    if wanted and made.sha256 != wanted and not (renew and not section.sha256):
        raise SuiteError(
            f"{kind.section}: {section.source} makes a suite with the sha256\n  {made.sha256}\n"
            f"but it is pinned to\n  {wanted}",
            hint=f'if that is the version you mean, write in [{kind.section}]: sha256 = "{made.sha256}"',
        )
    if pin is None:
        write_pin(section, made, inputs)
    return made


def write_pin(section: SuiteConfig, made: Provided, inputs: Inputs) -> None:
    """Pin a benchmark on this machine to what was made of its source."""
    pins.write(
        inputs.cache,
        pins.pinned(
            section.use,
            section.source,
            source_sha256=made.source_sha256,
            sha256=made.sha256,
            problems=made.problems,
        ),
    )
    inputs.note(f"{section.use}: {made.problems} problems, pinned to the sha256 {made.sha256}")


def install(path: Path, source_sha256: str, section: SuiteConfig, kind: Kind, inputs: Inputs) -> Provided:
    """Return the suite that a source file makes, looked at and put into the cache; SuiteError names what is wrong."""
    name, folder = section.use, inputs.cache / kind.folder
    where = f"{name} ({section.source})"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".suite-") as scratch:
            part = Path(scratch) / "suite.jsonl"
            digest = hashlib.sha256()
            with part.open("wb") as stream:
                for line in normalised(path, registry.suite(name), name, where):
                    digest.update(line)
                    stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
            with part.open("rb") as stream:
                problems = parse(stream, where, section.grader, public=section.public)
            golds.require(problems, section.grader, where, public=section.public)
            part.replace(folder / f"{digest.hexdigest()}{kind.suffix}")
    except OSError as error:
        raise storage_error(error, folder) from error
    target = folder / f"{digest.hexdigest()}{kind.suffix}"
    return Provided(target, digest.hexdigest(), source_sha256, len(problems), True)


def _source(section: SuiteConfig, entry: Entry, kind: Kind, inputs: Inputs) -> tuple[Path, str]:
    """Return the file that a benchmark is made of, and its digest."""
    if section.source.startswith("builtin:"):
        path = builtin_path(section.source)
    elif section.source.startswith(("hf:", "git:", "s3:")) and section.source == entry.source:
        inputs.note(f"fetching {section.source}")
        path = obtain(section.source, kind, inputs)
    else:
        path = fetch(section.source, "", kind, inputs)
    found = sha256_file(path)
    if section.source.startswith(("hf:", "s3:")):
        path = _kept(path, found, kind, inputs)
        hub.forget(section.source, kind, inputs)
    return path, found


def _kept(path: Path, sha256: str, kind: Kind, inputs: Inputs) -> Path:
    """Move a fetched file to its place in the cache, from where another version of it can be made."""
    return path.replace(inputs.cache / kind.folder / f"{sha256}.source")


def _check_source(found: str, section: SuiteConfig, entry: Entry, kind: Kind, pin: pins.SuitePin | None) -> None:
    """Raise SuiteError where a source has changed since the registry, or this machine, saw it."""
    known = entry.sha256 if section.source == entry.source and entry.sha256 != registry.UNVERIFIED else ""
    wanted = known or (pin.source_sha256 if pin else "")
    if not wanted or wanted == found:
        return
    by = "the registry has" if known else f"it was pinned on {pin.time if pin else ''} to"
    renew = f"publisher suites fetch {section.use} --renew   pins what is there now, as another version of the suite"
    own = f"publisher suites add {section.use} --file FILE   takes a copy that you have"
    raise SuiteError(
        f"{kind.section}: {section.source} has the sha256\n  {found}\nbut {by}\n  {wanted}",
        hint=own if known else renew,
    )
