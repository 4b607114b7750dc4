"""Two runs beside each other as plain lines for a terminal. Text from outside is made harmless first."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from publisher.publishing.listing import WIDTH
from publisher.publishing.report import difference_words, flip_words, one_line, table
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.schema import Change, Comparison, Figure, Passage, RunIdentity, SuiteComparison

NONE = "–"
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
ROUNDING = 0.1
"""Points by which a difference may be another than that of its two scores, since each is rounded."""
_VERDICTS = {"": "not decided", "smoke": "smoke run"}
CONTEXT = 40
"""Characters of what stayed the same that are shown on each side of a change in a prompt."""


def comparison_lines(found: Comparison, *, shared: int = 0) -> list[str]:
    """Return two runs beside each other: the score and its test, what turned, the figures, and what was changed.

    `shared` is how many answers one of the runs took over from the other.
    """
    lines = [f"before  {_run_words(found.base)}", f"after   {_run_words(found.run)}"]
    if shared:
        some = "1 answer is" if shared == 1 else f"{shared} answers are"
        lines.append(f"{some} the same in both: one run took them over from the other")
    for suite in found.suites:
        lines += ["", *_suite_lines(suite)]
    if found.only:
        lines += ["", f"measured by one of them only: {', '.join(found.only)}"]
    lines += ["", *_changes(found)]
    return [visible(line) for line in lines]


def _run_words(run: RunIdentity) -> str:
    """Return which run it is, in one line."""
    words = [run.commit[:12], f"tier {run.tier}", _VERDICTS.get(run.verdict, run.verdict), one_line(run.subject, 60)]
    return " · ".join(word for word in words if word)


def _suite_lines(suite: SuiteComparison) -> Iterator[str]:
    scores = f"{suite.suite}: {suite.base_score:.1f} → {suite.score:.1f}"
    if suite.problems and abs(suite.score - suite.base_score - suite.difference) >= ROUNDING:
        some = f"the {suite.problems} problems" if suite.problems > 1 else "the problem"
        yield scores
        yield f"  on {some} that both answered: {difference_words(suite)}"
    else:
        yield f"{scores}, {difference_words(suite)}"
    if suite.test:
        finds = f", which finds drops of {suite.detectable:.1f} points or more" if suite.detectable is not None else ""
        yield f"  {suite.test}{finds if suite.meaning == 'noise' else ''}"
    for word, flips in (("wrong", suite.turned_wrong), ("right", suite.turned_right)):
        if flips:
            words = f"turned {word} ({len(flips)}): {flip_words(flips, most=len(flips))}"
            yield textwrap.fill(words, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    if suite.unlisted:
        yield f"  and {suite.unlisted} more problems turned"
    kinds = [
        [one_line(kind, 24), _points(before), _points(after)]
        for kind, (before, after) in [*suite.kinds.items(), *suite.slices.items()]
    ]
    rows = kinds + [_figure_row(figure) for figure in suite.figures if (figure.before, figure.after) != (None, None)]
    if rows:
        yield from (f"  {line}" for line in table(["", "before", "after"], rows).splitlines())


def _points(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"


def _figure_row(figure: Figure) -> list[str]:
    before, after = (NONE if value is None else f"{value:,.4g}" for value in (figure.before, figure.after))
    return [f"{figure.name} ({figure.unit})" if figure.unit not in figure.name else figure.name, before, after]


def _changes(found: Comparison) -> Iterator[str]:
    """Yield what was changed, a line per setting; a prompt with its words marked as git marks them."""
    if not found.changes:
        yield "changed: nothing that is recorded"
        return
    yield "changed:"
    for change in found.changes:
        yield f"  {change.part} {one_line(change.name, 60)}: {_values(change)}"


def _values(change: Change) -> str:
    if change.passages:
        return one_line("".join(_marked(change.passages)), 1000)
    before, after = (
        value[:12] if _DIGEST.match(value) else one_line(value, 100) or "none"
        for value in (change.before, change.after)
    )
    return f"{before} → {after}"


def _marked(passages: list[Passage]) -> Iterator[str]:
    """Yield a text with what went as [-…-] and what came as {+…+}, and its long unchanged parts cut."""
    for place, passage in enumerate(passages):
        match passage.kind:
            case "gone":
                yield f"[-{passage.text}-]"
            case "new":
                yield f"{{+{passage.text}+}}"
            case _:
                yield _shortened(passage.text, first=place == 0, last=place == len(passages) - 1)


def _shortened(text: str, *, first: bool, last: bool) -> str:
    if len(text) <= 2 * CONTEXT:
        return text
    return f"{'' if first else text[:CONTEXT]}…{'' if last else text[-CONTEXT:]}"
