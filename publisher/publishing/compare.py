"""Reports of verdicts, and runs beside each other: reads what the gate compares, wherever it is."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import StorageError
from publisher.gate import report as gate
from publisher.gate.baseline import Measured
from publisher.gate.compare import compare
from publisher.ledger import history
from publisher.publishing.find import SMOKE
from publisher.samples import answer_lengths
from publisher.schema import Report

if TYPE_CHECKING:
    from publisher.gate.compare import Lengths
    from publisher.publishing.find import Found
    from publisher.publishing.project import Project
    from publisher.schema import Comparison, HistoryLine, Record, Verdict


def report_of(project: Project, record: Record, verdict: Verdict) -> Report:
    """Return the report of a run with its verdict: the one in the ledger, or a new one where the ledger has none."""
    try:
        known = history.read_part(project.ledger, record.run_id, history.REPORT, Report)
    except StorageError:
        return new_report(project, record, verdict)
    return msgspec.structs.replace(known, verdict=verdict)


def new_report(project: Project, record: Record, verdict: Verdict) -> Report:
    """Return the report of a verdict on a run that is beside the runs that came into the ledger before it."""
    config, _ = project.config(record.commit.sha)
    run, earlier = Measured(history.summarize(record, verdict), record), lines_before(project, record.run_id)
    records = project.records(gate.wanted(run, earlier, config))
    lengths = functools.cache(functools.partial(lengths_of, project))
    return gate.report(run, earlier, config, verdict, records=records, lengths=lengths)


def compared(project: Project, record: Record, verdict: Verdict) -> list[str]:
    """Return the ids of the runs that stand beside a run in its report, as of now."""
    run = Measured(history.summarize(record, verdict), record)
    return [
        line.run_id for line in gate.references(run, lines_before(project, record.run_id), verdict.headline) if line
    ]


def lines_before(project: Project, run_id: str) -> list[HistoryLine]:
    """Return the runs that came into the ledger before a run, oldest first; all of them before a pending one."""
    lines = [run.line for run in project.runs()]
    place = next((number for number, line in enumerate(lines) if line.run_id == run_id), len(lines))
    return lines[:place]


def diff(project: Project, before: Found, after: Found) -> Comparison:
    """Return a run beside an earlier one, whatever their order in time."""
    lengths = (lengths_of(project, before.record.run_id), lengths_of(project, after.record.run_id))
    return side_by_side(before, after, lengths)


def side_by_side(before: Found, after: Found, lengths: tuple[Lengths, Lengths]) -> Comparison:
    """Return a run beside an earlier one, with the tokens of each of their samples by suite."""
    found = compare(after.measured, before.measured, lengths)
    run, base = (
        msgspec.structs.replace(shown, verdict=shown.verdict if known.run else SMOKE if known.smoke else "")
        for shown, known in ((found.run, after), (found.base, before))
    )
    return msgspec.structs.replace(found, run=run, base=base)


def lengths_of(project: Project, run_id: str) -> Lengths:
    """Return the tokens of each sample of a run by suite; nothing where its samples cannot be read."""
    try:
        return answer_lengths(project.packed_samples(run_id))
    except StorageError:
        return {}
