"""A commit through the tiers: from the cheapest up to the one that publishes, as far as it passes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from publisher.bench.workspace import end_fresh
from publisher.config import AUTO
from publisher.config.gate import spends_alpha
from publisher.publishing import pipeline
from publisher.publishing.report import verdict_words

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.bench.measure import Observer
    from publisher.publishing.pipeline import Outcome
    from publisher.publishing.project import Project, Target
    from publisher.schema import Record, Verdict


def publish_cascade(
    project: Project,
    revision: str,
    observer: Observer,
    *,
    fresh: bool = False,
    complete: bool = False,
    archive: Path | None = None,
    branch: str = "",
) -> list[Outcome]:
    """Publish a commit through its tiers and return what each tier that was measured came to.

    Each tier reuses the samples of those below it. The first that does not pass ends the cascade, one that leaves the
    commit open included: what a cheap tier cannot decide is not worth a dear one, unless its policy says `on_budget`.
    """
    outcomes = []
    steps = targets(project, revision, branch)
    observer.note(plan_words(project, steps))
    for step in steps:
        outcomes.append(
            pipeline.publish_target(project, step, observer, fresh=fresh, complete=complete, archive=archive)
        )
        if outcomes[-1].verdict.verdict != "passed":
            break
    if fresh:
        end_fresh(project.workspace, steps[0].commit, AUTO)
    return outcomes


def rehearse_cascade(project: Project, revision: str, observer: Observer) -> list[tuple[Record, Verdict]]:
    """Measure a commit tier by tier as `publish_cascade` does, and record nothing."""
    done = []
    steps = targets(project, revision)
    observer.note(plan_words(project, steps))
    for step in steps:
        record = pipeline.measure_target(project, step, observer, until="decided")
        done.append((record, pipeline.verdict_of(project, record)))
        if done[-1][1].verdict != "passed":
            break
    return done


def bench_for_another(
    project: Project, revision: str, tier: str, observer: Observer, out: Path, *, fresh: bool = False
) -> Record:
    """Measure a commit until the gate can decide on it, and write its runs to `out` for the machine that publishes.

    With the tier `auto` that is one run for each tier that the commit came to. Returns the last run's record.
    """
    # Its imports would slow down every other command.
    from publisher.publishing.handover import export  # noqa: PLC0415

    project.ledger.sync()
    steps = targets(project, revision) if tier == AUTO else [project.target(revision, tier)]
    records = []
    for step in steps:
        records.append(pipeline.measure_decided(project, step, observer, fresh=fresh, until="decided"))
        if pipeline.verdict_of(project, records[-1]).verdict != "passed":
            break
    export(project, records, out)
    if fresh:
        end_fresh(project.workspace, steps[0].commit, steps[0].salted_by)
    return records[-1]


def targets(project: Project, revision: str, branch: str = "") -> list[Target]:
    """Return the tiers that a commit goes through, from the cheapest up."""
    commit = project.repository.resolve(revision)
    config, _ = project.config(commit)
    return [replace(project.target(commit, tier, branch), series=AUTO) for tier in config.cascade]


def plan_words(project: Project, steps: list[Target]) -> str:
    """Return which tiers come in which order, and how the alpha of the commit is split between them."""
    config, _ = project.config(steps[0].commit)
    testing = [step for step in steps if any(map(spends_alpha, step.config.gate.rules))]
    shares = " + ".join(f"{step.config.gate.alpha:g} in {step.tier}" for step in testing)
    split = f"; alpha {config.gate.alpha:g} of the commit: {shares}" if shares else ""
    return f"tiers: {', then '.join(step.tier for step in steps)}{split}"


def tier_line(record: Record, verdict: Verdict) -> str:
    """Return what one tier came to, on one line: its samples, how many of them lower tiers had, and the verdict."""
    samples = sum(result.counts.scored + result.counts.error for result in record.results)
    reused = sum(record.reused.values())
    words = f"{samples} samples, {reused} of them reused" if reused else f"{samples} samples"
    failing = next((rule for rule in verdict.rules if rule.outcome != "pass" and rule.effect == "block"), None)
    why = f" ({failing.rule})" if failing else ""
    return f"{record.tier}: {verdict_words(verdict)}{why}, {words}"
