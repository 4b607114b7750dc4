"""Reports of verdicts and tables as plain lines for a terminal. Text from outside is made harmless first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.stats import p_words
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.schema import (
        Blind,
        Change,
        Comparison,
        Counts,
        Flip,
        Record,
        Report,
        RuleResult,
        StoppedEarly,
        SuiteComparison,
        Verdict,
    )

WORDS = {
    "kept": "✓ kept",
    "passed": "✓ passed",
    "rejected": "✗ rejected",
    "inconclusive": "? inconclusive",
    "unchanged": "= unchanged",
    "held": "? held",
    "unreadable": "! unreadable",
}
MEANINGS = {
    "better": "clearly better",
    "worse": "clearly worse",
    "noise": "within the noise",
    "other": "not comparable: another version of the suite",
}
LONGEST_VALUE = 24
"""Characters of a setting that is shown where space is short; a digest is longer."""


def one_line(text: str, width: int = 48) -> str:
    """Return hostile text as one harmless line of at most `width` characters."""
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= width else f"{flat[: width - 1]}…"


def score_words(score: float, stderr: float, low: float, high: float) -> str:
    """Return a score as people read it: points ± standard error [95 % interval]."""
    return f"{score:.1f} ± {stderr:.1f} [{low:.1f}, {high:.1f}]"


def score_lines(record: Record) -> list[str]:
    """Return which run it is and each suite's score as plain lines."""
    lines = [f"{record.model.name} ({record.model.quantization}) at {record.commit.sha[:12]}, tier {record.tier}"]
    for result in record.results:
        words = score_words(result.score, result.stderr, result.interval.low, result.interval.high)
        lines.append(f"  {result.suite}: {words} points — {counts_words(result.counts)}")
    return [visible(line) for line in lines]


def counts_words(counts: Counts) -> str:
    """Return how many samples came out how; what did not occur is left out, but for right and wrong."""
    rare = {"unanswered": counts.unanswered, "truncated": counts.truncated, "errors": counts.error}
    said = [f"{counts.right} right", f"{counts.wrong} wrong", *(f"{n} {word}" for word, n in rare.items() if n)]
    return ", ".join(said)


def report_lines(record: Record, report: Report) -> list[str]:
    """Return a report as plain lines: scores, what they are compared with, each rule's reason, the verdict."""
    verdict = report.verdict
    lines = [*score_lines(record), *(line for suite in report.baseline for line in _baseline_lines(suite))]
    lines += [f"  {mark_of(rule)} {rule.rule}: {rule.reason}" for rule in verdict.rules]
    if verdict.baseline:
        lines.append(f"  {verdict.baseline}")
    if not verdict.rules:
        lines.append("  the policy has no rules: every run is kept")
    if report.previous is not None:
        lines.append(f"  {changed_words(report.previous)}")
    if report.stopped_early is not None:
        lines.append(f"  {saved_words(report.stopped_early, record.statistics)}")
    if verdict.rules and verdict.verdict != "rejected":  # what was seen is enough there
        lines += [f"  {blind_words(blind)}" for blind in report.blind]
    return [visible(line) for line in [*lines, f"verdict: {verdict_words(verdict)}"]]


def _baseline_lines(suite: SuiteComparison) -> list[str]:
    """Return a suite beside its baseline, and the problems that turned."""
    of = "the last kept run" if len(suite.runs) == 1 else f"{len(suite.runs)} kept runs"
    lines = [f"  {suite.suite} against {suite.base_score:.1f} of {of}: {difference_words(suite)}"]
    for word, flips in (("wrong", suite.turned_wrong), ("right", suite.turned_right)):
        lines += [f"    turned {word}: {flip_words(flips)}"] if flips else []
    return lines


def difference_words(suite: SuiteComparison) -> str:
    """Return a difference with its interval, its p-value and what it means."""
    if suite.interval is None or suite.p_value is None:
        return f"{suite.difference:+.1f} points, {MEANINGS[suite.meaning]}"
    low, high = suite.interval.low, suite.interval.high
    chance = p_words(suite.p_value, 2)
    return f"{suite.difference:+.1f} points [{low:+.1f}, {high:+.1f}], {chance}, {MEANINGS[suite.meaning]}"


def flip_words(flips: Sequence[Flip], most: int = 8) -> str:
    """Return problems with how many of their samples were right before and are now; of single samples that is said."""
    named = [f"{one_line(flip.problem, 40)}{_rates(flip)}" for flip in flips[:most]]
    return ", ".join(named) + (f" and {len(flips) - most} more" if len(flips) > most else "")


def _rates(flip: Flip) -> str:
    if flip.drawn == flip.base_drawn == 1:
        return ""
    return f" {flip.base_right}/{flip.base_drawn} → {flip.right}/{flip.drawn}"


def changed_words(previous: Comparison) -> str:
    """Return what differs from the previous kept run, each setting in a few words."""
    since = f"since {previous.base.commit[:12]}, the newest kept run before"
    named = [f"{change.part} {change.name}{_from_to(change)}" for change in previous.changes]
    return f"changed {since}: {', '.join(named)}" if named else f"no setting was changed {since}"


def _from_to(change: Change) -> str:
    """Return a short setting's two values; nothing for a long one, whose name says enough."""
    values = (one_line(value or "none", LONGEST_VALUE + 1) for value in (change.before, change.after))
    before, after = values
    return f" {before} → {after}" if max(len(before), len(after)) <= LONGEST_VALUE else ""


def blind_words(blind: Blind) -> str:
    """Return what the gate could not have seen on a suite."""
    if blind.detectable is None:
        return f"not seen: {blind.suite} was compared with no earlier run: a drop within the limits goes unnoticed"
    return (
        f"not seen: on {blind.suite} this gate finds drops of {blind.detectable:.1f} points or more in four runs of "
        "five; a smaller one can go unnoticed"
    )


def mark_of(rule: RuleResult) -> str:
    """Return the sign before a rule's reason: passed, failed, undecided, or failed without rejecting the run."""
    if rule.outcome == "fail" and rule.effect != "block":
        return "!"
    return {"pass": "✓", "fail": "✗", "inconclusive": "?"}[rule.outcome]


def verdict_words(verdict: Verdict) -> str:
    """Return a verdict as people read it: a run that shows no gain did no harm."""
    return "not kept: no gain" if verdict.no_gain else verdict.verdict


def saved_words(early: StoppedEarly, statistics: Mapping[str, float]) -> str:
    """Return what stopping a run early saved, and what it had cost by then, unfinished answers included."""
    tokens = statistics.get("decode_tokens", 0.0)
    spent = f" ({tokens:,.0f} tokens were decoded, those of unfinished answers included)" if tokens else ""
    return (
        f"stopped at look {early.look}: {early.samples} of {early.planned} samples decided it{spent}, "
        f"{1 - early.samples / max(1, early.planned):.0%} were saved (--complete takes them; the verdict stays)"
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns of plain text; every cell is harmless already."""
    cells = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])
