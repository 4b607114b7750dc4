"""Drift without a commit: the live commit measured again on a schedule, with the same seeds.

The answers should be the same to the letter. Where they are not, something beside the commit has changed: a driver, the
engine, the machine. Each check is a file of the ledger, `drift/<run>-<number>.json`, and together they are a series.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import LostRaceError, UsageError
from publisher.gate.baseline import strata, tallies
from publisher.gate.distributions import NORMAL
from publisher.gate.multiple import holm
from publisher.gate.pairs import mcnemar
from publisher.gate.stratified import cmh
from publisher.ledger import drift, history
from publisher.publishing import notify
from publisher.publishing.project import now
from publisher.publishing.report import one_line
from publisher.publishing.reproduce import remeasured
from publisher.schema import DriftCheck, DriftScore
from publisher.stats import p_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.bench.measure import Observer
    from publisher.publishing.project import Project
    from publisher.schema import Record

ATTEMPTS = 12


def check(project: Project, observer: Observer) -> DriftCheck:
    """Measure the live snapshot's commit again, compare every answer, record what was found, and raise the alarm.

    UsageError where nothing is live.
    """
    project.ledger.sync()
    moves = history.live_moves(project.ledger)
    if not moves:
        raise UsageError("nothing is live yet, so there is nothing to watch", hint="publisher publish")
    run_id = moves[-1].run_id
    found, then, again = remeasured(project, run_id, observer)
    config, _ = project.config(then.commit.sha)
    p_values = [_loss(then, again, result.suite) for result in again.results]
    scores = {
        result.suite: DriftScore(
            then=next(one.score for one in then.results if one.suite == result.suite),
            now=result.score,
            low=result.interval.low,
            high=result.interval.high,
            p_value=adjusted,
        )
        for result, adjusted in zip(again.results, holm(p_values), strict=True)
    }
    dropped = [suite for suite, one in scores.items() if one.now < one.then and one.p_value <= config.gate.alpha]
    record = DriftCheck(
        run_id=run_id,
        number=0,
        time=now(),
        scores=scores,
        same=found.same,
        different=len(found.different),
        changed=[one_line(text, 300) for text in found.why],
        dropped=dropped,
    )
    stored = _store(project, record)
    if dropped:
        _tell(project, stored, again, observer)
    return stored


def _loss(then: Record, again: Record, suite: str) -> float:
    """Return the one-sided p-value of a loss; the same problems, paired by problem."""
    greedy = again.sampling.temperature == 0
    new, old = (tallies(one, [suite], greedy=greedy) or {} for one in (again, then))
    pairs = strata(new, old)
    if not pairs:
        return 1.0
    if all(one.drawn == one.base_drawn == 1 for one in pairs):
        lost = sum(one.base_right > one.right for one in pairs)
        return mcnemar(lost, sum(one.right > one.base_right for one in pairs))
    return NORMAL.cdf(cmh(pairs))


def _store(project: Project, check: DriftCheck) -> DriftCheck:
    """Write a check into the ledger under the next number of its run."""
    words = f"{check.different} of {check.same + check.different} answers differ"
    for _ in range(ATTEMPTS):
        known = [one.number for one in drift.checks(project.ledger) if one.run_id == check.run_id]
        numbered = msgspec.structs.replace(check, number=1 + max(known, default=0))
        taken = partial(project.ledger.has, drift.path_of(numbered))
        message = f"Drift check of {check.run_id}: {words}\n"
        if project.ledger.append(drift.file_of(numbered), message, unless=taken):
            return numbered
    raise LostRaceError("other publishers keep changing the history", hint="run the same command again")


def _tell(project: Project, found: DriftCheck, again: Record, observer: Observer) -> None:
    """Tell people of a drop that no commit explains."""
    targets = project.environment.get(notify.VARIABLE, "").split()
    body = "\n".join(lines(found))
    title = f"{one_line(again.model.name, 60)} {again.commit.sha[:12]}: a drop without a commit"
    message = notify.Message("drift", found.run_id, title.replace("@", "＠"), body.replace("@", "＠"))
    if targets:
        notify.send(message, targets, note=observer.note)


def lines(found: DriftCheck) -> Iterator[str]:
    """Yield what a person reads of a check."""
    for suite, one in found.scores.items():
        yield f"{suite}: {one.now:.1f}, was {one.then:.1f} ({p_words(one.p_value)} of a loss)"
    yield f"{found.different} of {found.same + found.different} answers differ from the run {found.run_id}"
    for suite in found.dropped:
        why = "; ".join(found.changed) or "nothing that is recorded has changed: look at the hardware"
        yield f"ALERT {suite} dropped without a commit: {why}"
    if not found.dropped:
        yield from (f"  {text}" for text in found.changed)
