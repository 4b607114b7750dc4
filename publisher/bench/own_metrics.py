"""Metrics of the commit's own: numbers from a file of the commit, or from a program of the commit in the sandbox.

What they say is hostile: bounded, numbers only, finite, and only the names that `[metrics]` declares.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from publisher.config.metrics import PROGRAM
from publisher.config.section import short, suggest
from publisher.errors import ConfigError, GraderError, PublisherError
from publisher.graders.code.sandbox import Limits, Sandbox
from publisher.schema import MetricValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from publisher.bench.plan import Job, Plan
    from publisher.config import MetricConfig
    from publisher.schema import Sample, SuiteResult

LARGEST = 1 << 20
"""Bytes of the largest file, and of a program's longest output."""
SECONDS = 60.0
"""Seconds that a program has per suite."""
_FIELDS = ("problem", "sample", "outcome", "answer", "text", "finish", "tokens", "latency", "kind")


@dataclass(frozen=True, slots=True)
class OwnMetrics:
    """The sources of a commit's own metrics, read and checked before anything is generated."""

    declared: Mapping[str, MetricConfig]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    programs: dict[str, bytes] = field(default_factory=dict)
    sandbox: Sandbox | None = None

    @classmethod
    def opened(cls, stack: contextlib.ExitStack, job: Job) -> OwnMetrics:
        """Read the sources of a job's metrics; ConfigError where one is wrong, GraderError where no sandbox works."""
        declared = {name: one for name, one in job.config.metrics.items() if one.source}
        own = cls(declared)
        sources = dict.fromkeys(one.source for one in declared.values())
        for source in sources:
            path = source.removeprefix(PROGRAM)
            # A number of the commit is its own; what measures it is the trusted branch's, like suites and graders.
            commit = (job.policy or job.commit) if source.startswith(PROGRAM) else job.commit
            data = job.repository.read(commit, path, limit=LARGEST)
            if data is None:
                raise ConfigError(f"the commit has no {path}, which [metrics] names", hint=f"git add {path}")
            if source.startswith(PROGRAM):
                own.programs[source] = data
            else:
                own.files[source] = numbers(data, path, ConfigError)
        sandbox = stack.enter_context(Sandbox.open()) if own.programs else None
        return cls(declared, own.files, own.programs, sandbox)

    def measure(self, plan: Plan, samples: Sequence[Sample]) -> dict[str, dict[str, MetricValue]]:
        """Return the commit's own metrics by suite."""
        return {
            part.suite.name: self._of(part.suite.name, [one for one in samples if one.suite == part.suite.name])
            for part in plan.suites
        }

    def _of(self, suite: str, samples: Sequence[Sample]) -> dict[str, MetricValue]:
        said = {source: self._run(source, suite, samples) for source in self.programs}
        for source, document in self.files.items():
            by_suite = document.get(suite)
            said[source] = by_suite if isinstance(by_suite, dict) else document
        found = {}
        for name, one in self.declared.items():
            if isinstance(said[one.source].get(name, {}), dict):
                known = [key for key, value in said[one.source].items() if not isinstance(value, dict)]
                raise ConfigError(
                    f"{one.source} reports no {name} for the suite {suite}{suggest(name, known)}",
                    hint="report it, or take it out of [metrics]",
                )
            found[name] = MetricValue(value=float(said[one.source][name]), unit=one.unit, better=one.better)
        return found

    def _run(self, source: str, suite: str, samples: Iterable[Sample]) -> dict[str, Any]:
        """Run a program over a suite's answers in the sandbox and return what it reports."""
        assert self.sandbox is not None  # noqa: S101 - opened with the programs
        lines = b"".join(msgspec.json.encode({key: getattr(one, key) for key in _FIELDS}) + b"\n" for one in samples)
        limits = Limits(seconds=SECONDS, output=LARGEST)
        done = self.sandbox.run({"metrics.py": self.programs[source]}, "metrics.py", stdin=lines, limits=limits)
        where = f"{source}, on the suite {suite}"
        if done.limit:
            raise GraderError(f"{where}, was ended: over the limit of {done.limit}", hint="make it do less")
        if done.code != 0:
            last = (done.errors.strip().splitlines() or [f"exit code {done.code}"])[-1]
            raise GraderError(f"{where}, failed: {last[:300]}", hint="it runs with Python's standard library only")
        return numbers(done.output, where, GraderError)


def claimed(result: SuiteResult | None, declared: Mapping[str, MetricConfig]) -> dict[str, MetricValue]:
    """Return what another machine says of a commit's own metrics: finite numbers, with unit and direction as declared.

    A file could be read here again, but no program of a commit runs where secrets are.
    """
    said = result.metrics if result else {}
    return {
        name: MetricValue(value=said[name].value, unit=one.unit, better=one.better)
        for name, one in declared.items()
        if one.source and name in said and math.isfinite(said[name].value)
    }


def numbers(data: bytes, where: str, error: type[PublisherError]) -> dict[str, Any]:
    """Return an object of finite numbers by name, or of such objects by suite; `error`, naming `where`, otherwise."""

    def reject(word: str) -> NoReturn:
        raise error(f"{where}: {word} is no number that could be compared", hint="report finite numbers only")

    try:
        found = json.loads(data, parse_constant=reject)
    except (ValueError, RecursionError) as why:
        raise error(f"{where} is not JSON: {str(why)[:200]}", hint='report one object, such as {"score": 1.5}') from why
    if not isinstance(found, dict):
        raise error(f"{where} is not an object of numbers by name", hint='report one object, such as {"score": 1.5}')
    for name, value in found.items():
        inner = value if isinstance(value, dict) else {name: value}
        for key, number in inner.items():
            _check(key, number, where, error, reject)
    return found


def _check(
    key: str, number: object, where: str, error: type[PublisherError], reject: Callable[[str], NoReturn]
) -> None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise error(f"{where}: {short(key)} is {short(number)}, not a number", hint="report numbers only")
    try:
        finite = math.isfinite(number)
    except OverflowError:
        finite = False
    if not finite:
        reject(f"the value of {short(key)}")
