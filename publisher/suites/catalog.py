"""The benchmarks that there are by name, and getting one: fetched or from a file, looked at, pinned, written down."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from publisher import registry
from publisher.bench.inputs import golds, pins, suites
from publisher.bench.inputs.problems import parse
from publisher.bench.inputs.registered import install, kind_of, provide, write_pin
from publisher.config import FILE, SuiteConfig
from publisher.config import parse as parse_config
from publisher.config.registered import expanded
from publisher.config.section import suggest
from publisher.errors import SuiteError, UsageError
from publisher.files import atomic_write, compact_json, sha256_file, sha256_hex
from publisher.graders import make, mistake_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from publisher.bench.inputs.kind import Inputs
    from publisher.bench.inputs.problems import Problem
    from publisher.bench.inputs.registered import Provided
    from publisher.registry import Entry


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark of the registry, and what this machine knows of it."""

    name: str
    title: str
    problems: int
    grader: str
    licence: str
    republish: bool
    source: str
    source_sha256: str
    pinned: str
    """The digest of the suite that this machine has pinned; empty before its first fetch."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What looking at a suite found."""

    problems: int
    failing: dict[str, str]
    """Why the answer or the solution of a problem is not right by the suite's own grader, by id."""
    untried: int
    """Problems of a code suite without a solution that could be tried."""


def entry(name: str) -> Entry:
    """Return a benchmark of the registry; UsageError where none is called `name`."""
    names = registry.suite_names()
    if name not in names:
        raise UsageError(f"no benchmark is called {name!r}{suggest(name, names)}", hint="publisher suites list")
    return registry.suite(name)


def listed(cache: Path) -> list[Listed]:
    """Return every benchmark of the registry."""
    found = []
    for name in registry.suite_names():
        known = registry.suite(name)
        pin = pins.read(cache, name, known.source)
        found.append(
            Listed(
                name=name,
                title=known.title,
                problems=known.problems,
                grader=known.grader,
                licence=known.licence,
                republish=known.republish,
                source=known.source,
                source_sha256=known.sha256,
                pinned=pin.sha256 if pin else "",
            )
        )
    return found


def section_of(name: str) -> SuiteConfig:
    """Return the section `[suites.NAME] use = "NAME"`; UsageError where no benchmark is called `name`."""
    entry(name)
    raw, _ = expanded({"suites": {name: {"use": name}}})
    return msgspec.convert(raw["suites"][name], SuiteConfig)


def fetched(name: str, section: SuiteConfig, inputs: Inputs, *, renew: bool = False) -> tuple[str, int]:
    """Return the digest and the number of problems of a suite that is now on this machine."""
    if section.use:
        made = provide(section, kind_of(f"suites.{name}"), inputs, renew=renew)
        _note_count(section.use, made, inputs)
        if made.problems:
            return made.sha256, made.problems
    loaded = suites.load(name, section, inputs)
    return loaded.sha256, len(loaded.problems)


def from_file(name: str, path: Path, inputs: Inputs) -> Provided:
    """Return the benchmark `name` as a local file has it, looked at and pinned; SuiteError, StorageError."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    section, known = section_of(name), entry(name)
    made = install(path, sha256_file(path), section, kind_of(f"suites.{name}"), inputs)
    if known.sha256 not in {registry.UNVERIFIED, made.source_sha256}:
        inputs.note(f"{path.name} is not the file that the registry knows; its problems are taken as they are")
    _note_count(name, made, inputs)
    # The digest of another file than the source's says nothing about what a fetch should find.
    write_pin(section, replace(made, source_sha256=""), inputs)
    return made


def _note_count(name: str, made: Provided, inputs: Inputs) -> None:
    """Say where a benchmark has another number of problems than it is known for."""
    known = registry.suite(name).problems
    if made.new and made.problems != known:
        inputs.note(f"{name} has {made.problems} problems here, and is known with {known}")


def written(root: Path, name: str, sha256: str, lines: list[str]) -> None:
    """Add `[suites.NAME]` to the publisher.toml of a working tree; UsageError where it has one or cannot be read."""
    path = root / FILE
    try:
        text = path.read_text(encoding="utf-8")
        there = tomllib.loads(text).get("suites", {})
    except FileNotFoundError:
        raise UsageError(f"there is no {FILE} in {root}", hint="publisher init   writes one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE} cannot be read: {error}", hint=f"correct {FILE}") from error
    if name in there:
        raise UsageError(
            f"{FILE} has [suites.{name}] already", hint=f'write there: sha256 = "{sha256}"   where it is to be pinned'
        )
    body = "\n".join([f"[suites.{name}]", *lines, f'sha256 = "{sha256}"'])
    new = f"{text.rstrip()}\n\n{body}\n".encode()
    parse_config(new, FILE, graders=mistake_in)
    atomic_write(path, new)


def checked(problems: tuple[Problem, ...], grader: str, done: Callable[[int], None] = lambda _: None) -> Checked:
    """Return whether a suite's answers and solutions pass its own grader; GraderError where that does not start."""
    code = make(grader).form == "code"
    untried = sum(not problem.solution for problem in problems) if code else 0
    return Checked(len(problems), golds.failing(problems, grader, programs=True, done=done), untried)


def read_file(path: Path, grader: str) -> tuple[Problem, ...]:
    """Return the problems of a suite file; SuiteError with every mistake in it."""
    make(grader)
    try:
        with path.open("rb") as stream:
            return parse(stream, str(path), grader, public=True)
    except OSError as error:
        raise SuiteError(f"cannot read {path}: {error.strerror}") from error


def subset(name: str, section: SuiteConfig, inputs: Inputs, problems: list[str], path: Path) -> str:
    """Write some problems of a suite as a suite file, in the suite's order, and return its digest."""
    chosen = set(problems)
    lines = []
    for one in suites.load(name, section, inputs).problems:
        if one.id in chosen:
            line = {"id": one.id, "problem": one.problem, "answer": one.answer, "kind": one.kind}
            more = {"tags": dict(one.tags), "solution": one.solution}
            lines.append(compact_json({key: value for key, value in {**line, **more}.items() if value}))
    data = b"".join(lines)
    atomic_write(path, data)
    return sha256_hex(data)
