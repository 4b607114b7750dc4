"""What a rule looks at, and the result that it writes: one shape for all rules."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from publisher.config.gate import AnyRule, name_of
from publisher.gate.baseline import Candidates, Measured, candidates, differing, distinct, result_of
from publisher.gate.versions import words
from publisher.schema import RuleResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.schema import HistoryLine, HistoryScore, Record, SuiteResult

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Case:
    """One rule on one suite, or on several as one: the run, what was before it, and the p-value that decides."""

    rule: AnyRule
    suites: tuple[str, ...]
    run: Measured
    history: Sequence[HistoryLine]
    """Every earlier run, oldest first."""
    records: Mapping[str, Record]
    """The records of the runs that the rules pool, by run id."""
    level: float
    """This test's share of alpha."""
    samples: Mapping[str, int]
    """How many samples of each problem the tier plans, by suite."""
    looks: bool
    """Whether runs are looked at before they are complete, so that alpha is shared with those looks."""
    most: int = 0
    """Samples per problem up to which this test may be repeated although it was not significant before; 0: not."""

    @property
    def suite(self) -> str:
        """The suite's name; of several, all of them."""
        return " + ".join(self.suites)

    @property
    def score(self) -> HistoryScore:
        """The run's score on the suite, of several on the first."""
        return self.run.line.scores[self.suites[0]]

    @property
    def result(self) -> SuiteResult:
        """What the run's record says of the suite, of several of the first."""
        found = result_of(self.run.record, self.suites[0])
        if found is None:
            raise LookupError(self.suites[0])
        return found

    @functools.cached_property
    def candidates(self) -> Candidates:
        """The runs that this one can be compared with."""
        return candidates(self.run, self.history, self.suites)

    @functools.cached_property
    def distinct(self) -> list[HistoryLine]:
        """Those of them that have samples of their own, oldest first."""
        return distinct(self.run, self.candidates.lines, self.suites)

    def words(self) -> str:
        """Return the suite and the run's score on it."""
        scores = [(name, self.run.line.scores[name]) for name in self.suites]
        return ", ".join(f"{name} {score.score:.1f} ± {score.stderr:.1f}" for name, score in scores)

    def differs(self) -> list[str]:
        """Return the conditions in which the newest kept run differs from this one, where it is no baseline."""
        other = self.candidates.other
        return differing(self.run.record, self.records.get(other.run_id), self.suites) if other else []

    def finish(self, outcome: Outcome, reason: str, **figures: Any) -> RuleResult:
        """Return the result of this rule, with the figures that it found."""
        more = {"differs": self.differs()} | figures
        if more["differs"] and figures.get("baseline"):
            reason += f"; newer runs under other conditions do not count ({', '.join(more['differs'])})"
        others = self._other_tiers(figures.get("baseline", ""), figures.get("runs", 1))
        if others:
            reason += f"; compared with runs of the tier {', '.join(others)}"
        return RuleResult(
            rule=name_of(self.rule),
            suite=self.suite,
            outcome=outcome,
            reason=reason,
            effect=self.rule.effect,
            **more,
        )

    def _other_tiers(self, baseline: str, runs: int) -> list[str]:
        """Return the tiers of the runs that were compared with, the newest of which is `baseline`, but its own."""
        ids = [line.run_id for line in self.candidates.lines] if baseline else []
        end = ids.index(baseline) + 1 if baseline in ids else 0
        tiers = {line.tier for line in self.candidates.lines[max(0, end - runs) : end]}
        return sorted(tiers - {self.run.line.tier})

    def first(self, **figures: Any) -> RuleResult:
        """Pass a comparison that has nothing to compare with, and say so."""
        differs = self.differs()
        why = f", because these differ: {', '.join(differs)}" if differs else ""
        if self.run.reset is not None and self.run.reset.before:
            why = f", because {self.run.reset.why}"
        reason = "; ".join([f"{self.words()}: no kept run can be compared with{why}", *self._on_shared()])
        return self.finish("pass", reason, measured=self.score.score, **figures)

    def _on_shared(self) -> list[str]:
        """Return what the newest kept run scored on the problems that its version of a suite shares with this one's."""
        other = self.candidates.other
        record = self.records.get(other.run_id) if other else None
        same = other is not None and other.conditions == self.run.line.conditions
        return list(words(record, self.run.record, self.suites)) if record is not None and same else []


def points(share: float) -> float:
    """Return a share as points, rounded so that the last bits of a sum never show."""
    return round(100 * share, 9) if math.isfinite(share) else share
