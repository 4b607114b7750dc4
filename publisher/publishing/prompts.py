"""Prompts as versioned files: their differences, and several of them measured side by side on one loaded model."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import difflib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher.config.prompts import FOLDER, path_of
from publisher.errors import UsageError
from publisher.gate.baseline import strata, tallies
from publisher.gate.distributions import NORMAL
from publisher.gate.multiple import holm
from publisher.gate.pairs import mcnemar
from publisher.gate.stratified import cmh, difference
from publisher.stats import p_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from publisher.bench.measure import Observer
    from publisher.config import PromptConfig
    from publisher.engine.fleet import Fleet
    from publisher.engine.protocol import EngineOptions
    from publisher.gate.stratified import Stratum
    from publisher.publishing.project import Project
    from publisher.schema import Record


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prompt against the first one on one suite."""

    suite: str
    first: str
    other: str
    difference: float
    """Points that the other prompt scores above the first, over problems that both answered."""
    p_value: float
    """Two-sided, and Holm's over all comparisons."""
    test: str


def names(project: Project, commit: str) -> list[str]:
    """Return the names of a commit's prompts."""
    files = (path for path in project.repository.tree(commit) if path.startswith(f"{FOLDER}/"))
    return sorted(path.removeprefix(f"{FOLDER}/").removesuffix(".toml") for path in files if path.endswith(".toml"))


def find(project: Project, text: str) -> tuple[str, PromptConfig]:
    """Return the prompt that `NAME` (of HEAD) or `REV:NAME` names, with its own name for people."""
    revision, colon, name = text.rpartition(":")
    commit = project.repository.resolve(revision if colon else "HEAD")
    known = names(project, commit)
    if name not in known:
        raise UsageError(
            f"commit {commit[:12]} has no {path_of(name)}; it has {', '.join(known) or 'none'}",
            hint="publisher prompts list",
        )
    return f"{commit[:12]}:{name}", project.prompt(commit, name)


def difference_of(project: Project, one: str, other: str) -> str:
    """Return what differs between two prompts as a unified diff; nothing where their texts are equal."""
    (left, old), (right, new) = find(project, one), find(project, other)
    return "\n".join(difflib.unified_diff(_lines(old), _lines(new), left, right, lineterm=""))


def _lines(prompt: PromptConfig) -> list[str]:
    """Return a prompt's fields as lines, each text line after its field's name."""
    fields = {"system": prompt.system, "template": prompt.template, "notes": prompt.notes}
    lines = [f"{name}: {line}" for name, text in fields.items() for line in text.splitlines()]
    return [*lines, *(f"stop: {text!r}" for text in prompt.stop)]


class _OneEngine:
    """Starts one fleet, and lends it to each measurement with that one's prompt."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._fleet: Fleet | None = None

    def __call__(self, options: EngineOptions, *, engines: int) -> AbstractContextManager[Fleet]:
        """Return the loaded fleet; all measurements here differ in nothing but the prompt."""
        from publisher.engine.fleet import Fleet  # noqa: PLC0415 - what infers is absent where sites are built

        if self._fleet is None:
            self._fleet = self._stack.enter_context(Fleet(dataclasses.replace(options, workload=0), engines=engines))
        else:
            self._fleet.reprompt(options)
        return contextlib.nullcontext(self._fleet)


def side_by_side(
    project: Project, revision: str, tier: str, prompts: Sequence[str], observer: Observer
) -> list[tuple[str, Record]]:
    """Measure a commit with each of some prompts on one loaded model, and return the records by prompt.

    The same problems with the same seeds. Nothing of it enters the ledger: a run of a commit has that commit's prompt.
    """
    from publisher.bench.measure import Job, measure  # noqa: PLC0415 - as above

    if len(set(prompts)) < 2:
        raise UsageError("side by side needs two different prompts", hint="--prompt A --prompt B")
    target = project.target(revision, tier)
    found = []
    chosen = {name: project.prompt(target.commit, name) for name in prompts}
    with contextlib.ExitStack() as stack:
        start = _OneEngine(stack)
        for number, (name, prompt) in enumerate(chosen.items()):
            config = msgspec.structs.replace(target.config, prompt=prompt)
            started = dt.datetime.fromtimestamp(project.clock() + number, dt.UTC)
            job = Job(
                project.repository,
                target.commit,
                config,
                target.digest,
                target.tier,
                project.repository.is_dirty(),
                "",
                started,
                project.policy(target.commit),
            )
            observer.note(f"prompt {name}")
            workspace = project.workspace / "prompts"
            done = measure(job, start=start, workspace=workspace, reusable=project.reusable, observer=observer)
            found.append((name, done.record))
    shutil.rmtree(project.workspace / "prompts", ignore_errors=True)
    return found


def compare(measured: Sequence[tuple[str, Record]]) -> list[Comparison]:
    """Return each other prompt against the first, suite by suite.

    Paired by problem: McNemar's exact test where each prompt has one answer per problem, else Cochran, Mantel and
    Haenszel's over problems.
    """
    (first, base), *others = measured
    rows = []
    for name, record in others:
        for result in record.results:
            greedy = record.sampling.temperature == 0
            new, old = (tallies(one, [result.suite], greedy=greedy) or {} for one in (record, base))
            rows.append((result.suite, name, *_test(strata(new, old))))
    corrected = holm([p_value for *_, p_value, _ in rows])
    return [
        Comparison(suite, first, name, 100 * points, adjusted, test)
        for (suite, name, points, _, test), adjusted in zip(rows, corrected, strict=True)
    ]


def _test(pairs: Sequence[Stratum]) -> tuple[float, float, str]:
    """Return the difference as a share, the two-sided p-value and the test's name."""
    if not pairs:
        return 0.0, 1.0, "nothing to compare"
    points = difference(list(pairs))
    if all(one.drawn == one.base_drawn == 1 for one in pairs):
        lost = sum(one.base_right > one.right for one in pairs)
        gained = sum(one.right > one.base_right for one in pairs)
        return points, min(1.0, 2 * mcnemar(max(lost, gained), min(lost, gained))), "McNemar, exact"
    return points, 2 * NORMAL.cdf(-abs(cmh(list(pairs)))), "Cochran-Mantel-Haenszel"


def lines(measured: Sequence[tuple[str, Record]]) -> Iterator[str]:
    """Yield what a person reads of prompts side by side."""
    for name, record in measured:
        scores = ", ".join(f"{one.suite} {one.score:.1f} ± {one.stderr:.1f}" for one in record.results)
        tokens = sum(one.tokens for one in record.results) / max(1, sum(one.counts.scored for one in record.results))
        yield f"{name}: {scores}; {tokens:.0f} tokens per answer"
    for one in compare(measured):
        sign = "+" if one.difference >= 0 else "−"
        yield (
            f"{one.suite}: {one.other} {sign}{abs(one.difference):.1f} points against {one.first} "
            f"({p_words(one.p_value)}, {one.test})"
        )
