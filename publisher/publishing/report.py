"""Verdicts and tables for people: terminal, Markdown and job summary. Text from outside is made harmless first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.schema import Receipt, Record, RuleResult, StoppedEarly, Verdict

WORDS = {
    "kept": "✓ kept",
    "passed": "✓ passed",
    "rejected": "✗ rejected",
    "inconclusive": "? inconclusive",
    "unchanged": "= unchanged",
    "held": "? held",
    "unreadable": "! unreadable",
}


def one_line(text: str, width: int = 48) -> str:
    """Return hostile text as one harmless line of at most `width` characters."""
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= width else f"{flat[: width - 1]}…"


def score_words(score: float, stderr: float, low: float, high: float) -> str:
    """Return a score as people read it: points ± standard error [95 % interval]."""
    return f"{score:.1f} ± {stderr:.1f} [{low:.1f}, {high:.1f}]"


def verdict_lines(record: Record, verdict: Verdict) -> list[str]:
    """Return the gate's table as plain lines: each suite's score, each rule's reason, the verdict."""
    lines = [f"{record.model.name} ({record.model.quantization}) at {record.commit.sha[:12]}, tier {record.tier}"]
    for result in record.results:
        words = score_words(result.score, result.stderr, result.interval.low, result.interval.high)
        counts = result.counts
        lines.append(
            f"  {result.suite}: {words} points — {counts.right} right, {counts.wrong} wrong, "
            f"{counts.unanswered} unanswered, {counts.truncated} truncated, {counts.error} errors"
        )
    lines += [f"  {mark_of(rule)} {rule.rule}: {rule.reason}" for rule in verdict.rules]
    if verdict.baseline:
        lines.append(f"  {verdict.baseline}")
    if not verdict.rules:
        lines.append("  the policy has no rules: every run is kept")
    if record.stopped_early is not None:
        lines.append(f"  {saved_words(record.stopped_early, record.statistics)}")
    return [visible(line) for line in [*lines, f"verdict: {verdict_words(verdict)}"]]


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


def verdict_markdown(record: Record, verdict: Verdict, receipt: Receipt | None) -> str:
    """Return the verdict as Markdown for a job summary: figures, and names only inside code spans."""
    rows = [
        f"| {_code(r.suite)} | {r.score:.1f} ± {r.stderr:.1f} | {r.interval.low:.1f} – {r.interval.high:.1f} | "
        f"{r.counts.right} / {r.counts.scored} |"
        for r in record.results
    ]
    rules = [f"- {rule.outcome}: **{rule.rule}** — {_code(rule.reason)}" for rule in verdict.rules]
    parts = [
        f"### {WORDS[verdict.verdict]} {_code(record.commit.sha[:12])}",
        "",
        "| suite | score ± s.e. | 95 % | right |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        *rules,
    ]
    if receipt is not None:
        parts += ["", f"Permanent address: <{receipt.address}>"]
    return "\n".join(parts) + "\n"


def _code(text: str) -> str:
    """Return hostile text as a Markdown code span on one line."""
    return f"`{one_line(text, 200).replace('`', 'ʼ').replace('|', '¦')}`"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns of plain text; every cell is harmless already."""
    cells = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])
