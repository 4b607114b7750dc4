"""What tests of the bench share: a dozen problems, a configuration, an observer, and an engine without a model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pytest

from publisher.bench.inputs.builtin_files import BUILTIN
from publisher.bench.measure import Job, Measurement, measure
from publisher.config import parse
from publisher.engine.fleet import Fleet
from publisher.engine.protocol import Completion, EngineOptions, ModelFacts, SampleRequest, StartEngine
from publisher.files import sha256_file, sha256_hex
from publisher.schema import EngineIdentity, Sample

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from publisher.bench.earlier import Reusable
    from tests.made import GitFolder

STARTED = dt.datetime(2026, 11, 20, 20, 11, 33, tzinfo=dt.UTC)
SUITE = b"".join((BUILTIN / "abacus.jsonl").read_bytes().splitlines(keepends=True)[::45])
"""A dozen problems of every kind."""
CONFIG = """
[model]
name = "abacus"
source = "builtin:abacus@middle"
context = {context}
[model.sampling]
temperature = {temperature}
max_tokens = {max_tokens}
{sampling}
[suites.few]
source = "few.jsonl"
grader = "{grader}"
samples = {samples}
public = {public}
[engine]
mode = "{mode}"
threads = {threads}
[ledger]
clip = {clip}
"""
DEFAULTS = {
    "context": 512,
    "temperature": 0.7,
    "max_tokens": 160,
    "sampling": "",
    "grader": "integer",
    "samples": 2,
    "public": "true",
    "mode": "reproducible",
    "threads": 1,
    "clip": 20_000,
}
model = pytest.mark.model


class Notes:
    """An observer that writes down what it hears, and stops the run after `stop` samples."""

    def __init__(self, stop: int = -1) -> None:
        """Hear nothing yet."""
        self.model = ""
        self.statistics: dict[str, float] = {}
        self.total = -1
        self.suites: list[tuple[str, int]] = []
        self.samples: list[Sample] = []
        self.notes: list[str] = []
        self._stop = stop

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Keep the plan."""
        self.model, self.suites, self.total = model, suites, total

    def generating(self, figures: Callable[[], Mapping[str, float]]) -> None:
        """Keep what tells the figures."""
        self.figures = figures

    def generated(self) -> None:
        """Do nothing."""

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Keep a sample, or interrupt the run as Ctrl-C would."""
        self.samples.append(sample)
        self.statistics = dict(statistics)
        if len(self.samples) == self._stop:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Keep a remark."""
        self.notes.append(text)


def job(folder: GitFolder, suite: bytes = SUITE, *, salt: str = "", **changes: Any) -> Job:
    """Commit a configuration with its suite and return the job of measuring it."""
    text = CONFIG.format(**(DEFAULTS | changes)).encode()
    commit = folder.commit({"publisher.toml": text, "few.jsonl": suite})
    return Job(folder.opened, commit, parse(text), sha256_hex(text), "full", dirty=False, salt=salt, started=STARTED)


def run(
    of: Job,
    workspace: Path,
    observer: Notes | None = None,
    earlier: Iterable[Sample] = (),
    start: StartEngine = Fleet,
    reusable: Reusable | None = None,
) -> Measurement:
    """Measure a job; `earlier` are the samples of a run called `earlier`, where `reusable` does not say more."""
    reusable = reusable or (lambda _: [("earlier", None, list(earlier))] if earlier else [])
    return measure(of, start=start, workspace=workspace, reusable=reusable, observer=observer or Notes())


def essence(samples: Iterable[Sample]) -> list[tuple[Any, ...]]:
    """Return what must not depend on how a run was scheduled."""
    return [(one.suite, one.problem, one.sample, one.seed, one.text, one.outcome) for one in samples]


class Parrot:
    """An engine without a model: it answers every request with the same text, or with what `answers` has for it."""

    def __init__(self, text: str, answers: Mapping[str, str] | None = None) -> None:
        """Answer `text`, or the text in `answers` whose key stands in the problem."""
        self._text, self._answers = text, answers or {}
        self.begun = 0
        """Completions that were asked for so far."""

    def __call__(self, options: EngineOptions, *, engines: int) -> Self:  # noqa: ARG002 - the protocol has it
        """Start as a fleet would."""
        self._options = options
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    @property
    def facts(self) -> ModelFacts:
        """The facts of a file that nobody reads."""
        sha256 = sha256_file(self._options.model)
        return ModelFacts(sha256, 1, "parrot", "none", 0, "none", 0, sha256_hex(b""), 0, 0)

    @property
    def identity(self) -> EngineIdentity:
        """One slot, no device."""
        return EngineIdentity(
            name="parrot",
            version="1",
            build="",
            backend="CPU",
            devices=[],
            gpu_layers_wanted="0",
            gpu_layers_offloaded=0,
            layers=0,
            mode="reproducible",
            context=self._options.context,
            slots=1,
            threads=1,
            batch=1,
            system_info="",
        )

    @property
    def at_once(self) -> int:
        """One at a time."""
        return 1

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Answer at once."""
        for request in requests:
            self.begun += 1
            text = next((text for key, text in self._answers.items() if key in request.problem), self._text)
            yield Completion(request.key, text, "stop", 3, 5, 0.01, 0.0, 0.001, "")

    def changed(self, requests: Sequence[SampleRequest]) -> list[int]:  # noqa: ARG002 - the protocol has it
        """Nothing changes."""
        return []

    def statistics(self) -> dict[str, float]:
        """Nothing is counted."""
        return {}

    def stop(self) -> None:
        """Answers come at once: there is nothing to end."""
