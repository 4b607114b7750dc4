"""Completion to sample: graded, redacted, clipped, and with its problem only where the suite is public."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher.graders import Grade, grade
from publisher.graders.extract import LIMIT
from publisher.schema import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.bench.plan import PlannedSample, PlannedSuite
    from publisher.bench.redaction import Redactor
    from publisher.engine.protocol import Completion
    from publisher.graders import Grader
    from publisher.quality.samples import Measurer

MAX_ERRORS = 0.05
"""The share of a suite's samples that may be errors. One more ends the run, because a score leaves errors out."""


def is_gradable(sample: Sample) -> bool:
    """Return whether an earlier run's sample can be graded again: it was finished, scored, and still has its words."""
    return not sample.withheld and not sample.redacted and sample.finish != "error" and sample.outcome != "error"


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores the samples of one run; safe from any thread."""

    suites: Mapping[str, PlannedSuite]
    graders: Mapping[str, Grader]
    """The entered graders, by name."""
    redactor: Redactor
    measurer: Measurer
    clip: int
    """Characters of each text that are stored."""

    def completed(self, wanted: PlannedSample, completion: Completion) -> Sample:
        """Return the sample that a completion makes."""
        text = completion.text.encode(errors="replace").decode()
        if completion.finish == "error":
            scored = Grade("error", "", completion.reason or "the engine gave no reason")
        else:
            scored = grade(self._grader(wanted), text, wanted.problem.answer, completion.finish)
        sample = Sample(
            suite=wanted.suite,
            problem=wanted.problem.id,
            sample=wanted.sample,
            seed=wanted.seed,
            outcome="error",
            answer="",
            finish=completion.finish,
            prompt_tokens=completion.prompt_tokens,
            tokens=completion.tokens,
            latency=round(completion.latency, 6),
            queue=round(completion.queue, 6),
            prompt_time=round(completion.prompt_time, 6),
            text=text,
        )
        return self._scored(self._measured(sample, wanted, scored), wanted, scored)

    def again(self, sample: Sample, wanted: PlannedSample) -> Sample:
        """Return an earlier run's sample as this run's suite and grader score it.

        Where the text was clipped its end is missing, so the stored answer is compared instead.
        """
        if not sample.clipped:
            scored = grade(self._grader(wanted), sample.text, wanted.problem.answer, sample.finish)
        elif self._grader(wanted).form in {"code", "json", "text"}:
            scored = Grade("error", "", "the stored text is cut off")
        elif sample.outcome in {"right", "wrong"}:
            match = self._grader(wanted).compare(sample.answer, wanted.problem.answer)
            scored = Grade(match.outcome, sample.answer, match.reason)
        else:
            scored = Grade(sample.outcome, sample.answer, sample.reason)
        whole = sample if sample.clipped else self._measured(sample, wanted, scored)
        return self._scored(whole, wanted, scored)

    def _measured(self, sample: Sample, wanted: PlannedSample, scored: Grade) -> Sample:
        """Return a sample with what its whole text is like."""
        part = self.suites[wanted.suite]
        measures = self.measurer.measure(
            sample.text,
            outcome=scored.outcome,
            answer=scored.answer,
            statement=wanted.problem.problem,
            code=part.code,
            language=part.language,
        )
        return msgspec.structs.replace(sample, measures=measures)

    def _grader(self, wanted: PlannedSample) -> Grader:
        return self.graders[self.suites[wanted.suite].grader]

    def _scored(self, sample: Sample, wanted: PlannedSample, scored: Grade) -> Sample:
        """Return `sample` with its grade, and with its problem's statement and answer where those are public.

        Redaction comes before clipping: half of a secret would not be recognized.
        """
        graded = msgspec.structs.replace(
            sample, outcome=scored.outcome, answer=scored.answer[: LIMIT + 1], reason=scored.reason
        )
        stored = self.redactor.redacted(self.described(graded, wanted))
        cut = max(0, len(stored.text) - self.clip)
        return msgspec.structs.replace(stored, text=stored.text[: self.clip], clipped=stored.clipped + cut)

    def described(self, sample: Sample, wanted: PlannedSample) -> Sample:
        """Return `sample` with what the suite says of its problem: statement and answer only where they are public."""
        public = self.suites[wanted.suite].suite.public
        return msgspec.structs.replace(
            sample,
            suite=wanted.suite,
            kind=wanted.problem.kind,
            statement=wanted.problem.problem if public else "",
            expected=wanted.problem.answer if public else "",
        )
