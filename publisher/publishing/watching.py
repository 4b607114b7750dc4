"""Looks at a run while it is measured: the gate is asked what it says so far, and a rejection ends the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.gate.baseline import Measured
from publisher.gate.policy import decide, needed
from publisher.ledger import history
from publisher.publishing.project import now
from publisher.publishing.resets import reset_of

if TYPE_CHECKING:
    from publisher.bench.looks import Look, Watch
    from publisher.config import Config
    from publisher.publishing.project import Project


def watch_for_rejection(project: Project, commit: str, config: Config) -> Watch | None:
    """Return what asks the gate at each look, or None where the policy has nothing that could reject early."""
    if not config.gate.early or not any(rule.effect == "block" for rule in config.gate.rules):
        return None
    lines = [run.line for run in project.runs()]
    reset = reset_of(project, commit, config, lines)

    def watch(look: Look) -> str:
        record = look.record
        if record is None:
            return ""
        run = Measured(history.summarize(record), record, reset)
        # As for the verdict: what is in the ledger came before this run, whatever the machines' clocks said.
        earlier = [line for line in lines if line.run_id != record.run_id]
        records = project.records(needed(run, earlier, config))
        verdict = decide(run, earlier, config, records=records, decided=now())
        failing = [rule for rule in verdict.rules if rule.outcome == "fail" and rule.effect == "block"]
        return f"{failing[0].rule}: {failing[0].reason}" if failing else ""

    return watch
