"""The answers of a run as lines for a terminal: chosen, wrapped, and without a word of a private suite."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from publisher.errors import UsageError
from publisher.publishing.report import one_line
from publisher.samples import without_text
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from publisher.schema import Record, Sample

_RULE = 72


@dataclass(frozen=True, slots=True)
class Choice:
    """Which answers to show; an empty field chooses all."""

    suite: str = ""
    problem: str = ""
    outcome: str = ""

    def takes(self, sample: Sample) -> bool:
        """Return whether a sample is chosen."""
        return all(
            wanted in {"", found}
            for wanted, found in (
                (self.suite, sample.suite),
                (self.problem, sample.problem),
                (self.outcome, sample.outcome),
            )
        )


def check(choice: Choice, record: Record) -> None:
    """Raise UsageError where a run has no such suite or problem."""
    suites = [result.suite for result in record.results]
    if choice.suite and choice.suite not in suites:
        raise UsageError(f"{record.run_id} has no suite {choice.suite!r}", hint=f"it has {', '.join(suites)}")
    problems = {
        problem
        for result in record.results
        if choice.suite in {"", result.suite}
        for problem in result.right_by_problem
    }
    if choice.problem and choice.problem not in problems:
        named = ", ".join(sorted(problems)[:5])
        raise UsageError(f"{record.run_id} has no problem {choice.problem!r}", hint=f"its problems: {named}, …")


def chosen(record: Record, samples: Iterable[Sample], choice: Choice) -> Iterator[Sample]:
    """Yield the chosen samples as they may be shown: those of private suites have an outcome and figures, no words."""
    public = {suite.name for suite in record.suites if suite.public}
    for sample in samples:
        if choice.takes(sample):
            yield sample if sample.suite in public else without_text(sample)


def answer_lines(record: Record, samples: Iterable[Sample], width: int = 0) -> Iterator[str]:
    """Yield chosen samples as harmless lines, wrapped to `width` columns where it is not 0, one sample at a time."""
    private = [suite.name for suite in record.suites if not suite.public]
    if private:
        yield f"private, so only ids, outcomes and figures are shown: {', '.join(map(one_line, private))}"
    before = ""
    for sample in samples:
        place = f"{sample.suite}/{sample.problem}"
        yield from _sample_lines(sample, width, with_problem=place != before)
        before = place


def outcome_lines(samples: Iterable[Sample]) -> Iterator[str]:
    """Yield a line per sample that fits 80 columns: which it is, its outcome, and its answer or why it has none."""
    for sample in samples:
        name = f"{one_line(sample.problem, 24)} #{sample.sample + 1}"
        said = sample.answer or sample.reason
        wanted = f", expected {one_line(sample.expected, 16)}" if sample.outcome == "wrong" and sample.expected else ""
        yield f"  {sample.outcome:<10}  {name:<28}  {one_line(said, 36 - len(wanted))}{wanted}".rstrip()


def _sample_lines(sample: Sample, width: int, *, with_problem: bool) -> Iterator[str]:
    """Yield a sample; the problem and its expected answer only before the first of its samples."""
    head = f"{one_line(sample.suite)} · {one_line(sample.problem, 80)} · sample {sample.sample + 1} · {sample.outcome}"
    figures = f"{sample.tokens} tokens, {sample.latency:.1f} s, seed {sample.seed}"
    if sample.withheld:
        yield f"{head} · {figures}"
        return
    yield ""
    yield f"── {head} ".ljust(min(width or _RULE, _RULE), "─")
    if with_problem:
        yield from _field("problem", sample.statement, width)
        yield from _field("expected", sample.expected, width)
    yield from _field("answer", sample.answer or "none", width)
    yield from _field("reason", sample.reason, width)
    yield f"figures   {figures}"
    yield ""
    yield from wrapped(sample.text, width)
    if sample.clipped:
        yield f"… {sample.clipped} characters were cut off when it was stored"


def _field(name: str, value: str, width: int) -> Iterator[str]:
    """Yield a named value, its further lines indented; nothing for an empty one."""
    if value:
        first, *rest = wrapped(value, max(20, width - 10) if width else 0) or [""]
        yield f"{name:<10}{first}"
        yield from (f"{'':<10}{line}" for line in rest)


def wrapped(text: str, width: int) -> list[str]:
    """Return hostile text as harmless lines of at most `width` columns; 0 leaves them as they are.

    Wide characters, of Chinese say, take two columns each.
    """
    lines = visible(text).expandtabs(4).splitlines()
    if not width:
        return lines
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    return [part.plain.rstrip() for line in lines for part in (Text(line).wrap(console, width) if line else [Text("")])]
