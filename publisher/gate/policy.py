"""The policy: every rule's result, and the one verdict that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.files import canonical_json, sha256_hex
from publisher.gate.rules import check
from publisher.schema import HistoryLine, RuleResult, Verdict, VerdictWord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.config import Config


def decide(line: HistoryLine, history: Sequence[HistoryLine], config: Config, *, decided: str) -> Verdict:
    """Return the verdict of the run that `line` sums up, given every earlier run, oldest first.

    A failing rule rejects; else an inconclusive one leaves it open; else the run is kept. A policy without rules keeps
    everything. `decided` is the time that the verdict carries.
    """
    earlier = [other for other in history if other.run_id != line.run_id]
    suites = [rule.suite or config.headline for rule in config.gate.rules]
    results = [
        check(rule, suite, line.scores.get(suite), earlier)
        for rule, suite in zip(config.gate.rules, suites, strict=True)
    ]
    return Verdict(
        run_id=line.run_id,
        verdict=_word(results),
        rules=results,
        headline=config.headline,
        policy_sha256=sha256_hex(canonical_json(config.gate)),
        decided=decided,
    )


def _word(results: Sequence[RuleResult]) -> VerdictWord:
    outcomes = {result.outcome for result in results}
    if "fail" in outcomes:
        return "rejected"
    return "inconclusive" if "inconclusive" in outcomes else "kept"
