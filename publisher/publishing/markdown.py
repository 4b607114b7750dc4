"""Reports as Markdown, for a job's summary and for a comment on a pull request.

Whatever a model, a commit or a ledger file says stands in a code span, on one line: there it is no link, no mention, no
HTML and no new block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher.publishing.report import (
    MEANINGS,
    WORDS,
    blind_words,
    mark_of,
    one_line,
    saved_words,
)
from publisher.stats import p_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from publisher.schema import Change, Comparison, Flip, Receipt, Record, Report, RuleResult, SuiteComparison

MOST_FLIPS = 12
"""Problems that turned, shown each way; the JSON report has more."""


def report_markdown(record: Record, report: Report, receipt: Receipt | None = None) -> str:
    """Return a report as Markdown; with a receipt, the permanent address too."""
    verdict = report.verdict
    word = "✗ not kept: no gain" if verdict.no_gain else WORDS[verdict.verdict]
    parts = [
        [f"### {word} {code(record.commit.sha[:12])}", code(record.commit.subject)],
        _scores(record, report),
        _trend(report),
        *_turned(report),
        _rules(verdict.rules),
        _changed(report.previous) if report.previous else [],
        [f"- {words}" for words in _remarks(record, report)],
        [f"Permanent address: <{receipt.address}>"] if receipt else [],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _trend(report: Report) -> list[str]:
    """Return the headline's last scores as a chart, where there are at least three; numbers only."""
    if len(report.trend) < 3:
        return []
    low, high = min(report.trend), max(report.trend)
    room = max(1.0, 0.1 * (high - low))
    points = ", ".join(f"{score:.1f}" for score in report.trend)
    return [
        "```mermaid",
        "xychart-beta",
        f'  title "The last {len(report.trend) - 1} kept runs, and this one"',
        f'  y-axis "points" {max(0.0, low - room):.1f} --> {min(100.0, high + room):.1f}',
        f"  line [{points}]",
        "```",
    ]


def _scores(record: Record, report: Report) -> list[str]:
    """Return the suites as a table, each beside its baseline."""
    beside = {suite.suite: suite for suite in report.baseline}
    rows = [
        [
            code(result.suite),
            f"{result.score:.1f} ± {result.stderr:.1f}",
            f"{result.interval.low:.1f} – {result.interval.high:.1f}",
            f"{result.counts.right} / {result.counts.scored}",
            *_against(beside.get(result.suite)),
        ]
        for result in record.results
    ]
    return _table(["suite", "score ± s.e.", "95 %", "right", "baseline", "change [95 %]", "p", ""], rows)


def _against(suite: SuiteComparison | None) -> list[str]:
    if suite is None or suite.interval is None or suite.p_value is None:
        return ["none", "", "", ""]
    runs = f" ({len(suite.runs)} runs)" if len(suite.runs) > 1 else ""
    change = f"{suite.difference:+.1f} [{suite.interval.low:+.1f}, {suite.interval.high:+.1f}]"
    return [f"{suite.base_score:.1f}{runs}", change, _p(suite.p_value), MEANINGS[suite.meaning]]


def _turned(report: Report) -> Iterator[list[str]]:
    """Yield the problems that turned, folded, for each suite that has any."""
    for suite in report.baseline:
        total = len(suite.turned_wrong) + len(suite.turned_right) + suite.unlisted
        if total:
            yield [
                f"<details><summary>{total} problems turned in {_escaped(suite.suite)}</summary>",
                "",
                *_table(["problem", "turned", "right before", "right now"], list(_flips(suite))),
                "",
                "</details>",
            ]


def _p(p_value: float) -> str:
    """Return a p-value for a column that is called p."""
    return p_words(p_value, 2).removeprefix("p ").removeprefix("= ")


def _flips(suite: SuiteComparison) -> Iterator[list[str]]:
    turned: tuple[tuple[str, Sequence[Flip]], ...] = (("wrong", suite.turned_wrong), ("right", suite.turned_right))
    for word, flips in turned:
        for flip in flips[:MOST_FLIPS]:
            yield [
                code(flip.problem),
                word,
                f"{flip.base_right} / {flip.base_drawn}",
                f"{flip.right} / {flip.drawn}",
            ]


def _rules(rules: Sequence[RuleResult]) -> list[str]:
    """Return the rules as a table, with every figure that a rule has, and its reason."""
    if not rules:
        return ["The policy has no rules: every run is kept."]
    rows = [
        [
            f"{mark_of(rule)} {code(rule.rule)}" + (f" ({rule.effect})" if rule.effect != "block" else ""),
            code(rule.suite),
            _figure(rule.measured, rule.unit),
            _figure(rule.limit, rule.unit),
            _interval(rule),
            "" if rule.p_value is None else _p(rule.p_value),
            _figure(rule.detectable),
            code(rule.reason, 600),
        ]
        for rule in rules
    ]
    return _table(["rule", "suite", "measured", "limit", "95 %", "p", "finds drops of", "reason"], rows)


def _figure(value: float | None, unit: str = "points") -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if unit == "points" else f"{value:.1f} {code(unit, 20)}"


def _interval(rule: RuleResult) -> str:
    return "" if rule.interval is None else f"{rule.interval.low:+.1f} to {rule.interval.high:+.1f}"


def _changed(previous: Comparison) -> list[str]:
    """Return what was changed since the previous kept run."""
    since = f"since {code(previous.base.commit[:12])}, the newest kept run before"
    if not previous.changes:
        return [f"No setting was changed {since}."]
    rows = [[f"{change.part} {code(change.name)}", *_values(change)] for change in previous.changes]
    return [f"Changed {since}:", "", *_table(["setting", "before", "now"], rows)]


def _values(change: Change) -> list[str]:
    return [code(value, 120) if value else "none" for value in (change.before, change.after)]


def _remarks(record: Record, report: Report) -> Iterator[str]:
    """Yield what was saved and what could not be seen."""
    if report.stopped_early is not None:
        yield saved_words(report.stopped_early, record.statistics)
    if report.reused:
        yield f"{report.reused} of {report.samples} samples were taken over from earlier runs"
    if report.verdict.rules and report.verdict.verdict != "rejected":
        for blind in report.blind:
            yield blind_words(msgspec.structs.replace(blind, suite=code(blind.suite)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(headings), _row(["---"] * len(headings)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def code(text: str, width: int = 200) -> str:
    """Return hostile text as a Markdown code span on one line: in it nothing has a meaning, not even a table's bar."""
    return f"`{one_line(text, width).replace('`', 'ʼ').replace('|', '¦') or ' '}`"


def _escaped(text: str) -> str:
    """Return hostile text inside HTML, where Markdown's code spans do not count."""
    kept = "".join(character if character.isalnum() or character in "-._ " else "?" for character in one_line(text))
    return f"<code>{kept}</code>"
