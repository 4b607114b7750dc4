"""Whether a tier fits into its minutes: forecast from what this machine has recorded, before anything is generated."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.bench.record import sampling_of
from publisher.bench.workspace import trimmed_samples
from publisher.engine import devices, machine
from publisher.errors import StorageError, UsageError
from publisher.publishing.extend import extended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from publisher.bench.plan import Job, Plan, PlannedSample
    from publisher.config import Config, TierConfig
    from publisher.publishing.project import Project
    from publisher.schema import MachineIdentity, Record

NEWEST = 50
"""Runs that are searched for a recorded speed, newest first."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a recorded run says of the next one: tokens per second of all slots, and tokens per answer by problem."""

    run_id: str
    speed: float
    lengths: Mapping[tuple[str, str], float]

    def minutes(self, wanted: Iterable[PlannedSample]) -> float:
        """Return how long samples take; a problem without a recorded answer counts as typical."""
        typical = math.fsum(self.lengths.values()) / len(self.lengths)
        tokens = math.fsum(self.lengths.get((one.suite, one.problem.id), typical) for one in wanted)
        return tokens / self.speed / 60


def fitting(project: Project, job: Job, note: Callable[[str], None]) -> Callable[[Plan], Config] | None:
    """Return what makes a job fit into its tier's minutes, or None where it may take as long as it takes.

    Given the plan, that returns the configuration to measure by: the job's own or, where the tier says
    `over = "trim"` and the forecast is beyond its minutes, one with fewer samples per problem. It raises UsageError
    where the forecast is beyond them and nothing may be trimmed, or one sample per problem is too much.
    """
    section = job.config.tiers.get(job.tier)
    if section is None or section.minutes is None:
        return None
    chosen, minutes = section, section.minutes

    def fit(planned: Plan) -> Config:
        known = trimmed_samples(project.workspace, job.commit, job.tier, job.salt)
        if known.keys() == {part.suite.name for part in planned.suites}:
            note(f"continuing with {_words(known)}, as the run began")
            return extended(job.config, job.tier, known)
        missing = _missing(project, planned)
        pace = pace_of(project, job, planned) if missing else None
        if pace is None:
            if missing:
                note(f"no speed is recorded for this model here: the {minutes:g} minutes only end the run")
            return job.config
        forecast = pace.minutes(missing)
        said = (
            f"tier {job.tier}: {len(missing)} samples take about {forecast:.1f} minutes at the speed of {pace.run_id}"
        )
        note(f"{said}, of {minutes:g}")
        return job.config if forecast <= minutes else _trimmed(project, job, planned, missing, pace, chosen, note)

    return fit


def _trimmed(
    project: Project,
    job: Job,
    planned: Plan,
    missing: list[PlannedSample],
    pace: Pace,
    section: TierConfig,
    note: Callable[[str], None],
) -> Config:
    """Return the configuration with as many samples per problem as fit: in each suite the same share, at least one."""
    minutes = section.minutes or math.inf
    if section.over == "refuse":
        raise UsageError(
            f"the tier {job.tier} would take about {pace.minutes(missing):.1f} minutes at the speed of {pace.run_id}, "
            f"and may take {minutes:g}",
            hint=f'raise tiers.{job.tier}.minutes, or let  over = "trim"  take fewer samples per problem',
        )
    whole = {part.suite.name: part.samples for part in planned.suites}
    most = max(whole.values())
    for rounds in range(most - 1, 0, -1):
        fewer = {suite: max(1, k * rounds // most) for suite, k in whole.items()}
        taken = [one for one in missing if one.sample < fewer[one.suite]]
        if pace.minutes(taken) <= minutes:
            note(f"trimmed to {minutes:g} minutes: {_words(fewer)} instead of {_words(whole)}")
            trimmed_samples(project.workspace, job.commit, job.tier, job.salt, new=fewer)
            return extended(job.config, job.tier, fewer)
    raise UsageError(
        f"even one sample per problem of the tier {job.tier} would take more than its {minutes:g} minutes "
        f"at the speed of {pace.run_id}",
        hint=f"raise tiers.{job.tier}.minutes, or take smaller suites",
    )


def _words(samples: Mapping[str, int]) -> str:
    return ", ".join(f"{k} per problem of {suite}" for suite, k in samples.items())


def _missing(project: Project, planned: Plan) -> list[PlannedSample]:
    """Return the samples that no run of the same generation has."""
    wanted = {(one.problem.id, one.sample, one.seed): one for one in planned.wanted}
    for _, _, samples in project.reusable(planned.generation):
        with contextlib.suppress(StorageError):
            for sample in samples:
                wanted.pop((sample.problem, sample.sample, sample.seed), None)
        if not wanted:
            break
    return list(wanted.values())


def pace_of(project: Project, job: Job, planned: Plan) -> Pace | None:
    """Return the pace of the newest run that this machine would repeat, or None where it has measured none.

    Such a run has the same machine, conditions and kind of model (a checkpoint answers as fast as the one before it),
    whatever its prompt was.
    """
    lines = [run.line for run in reversed(project.runs()) if run.line.verdict != "unreadable"][:NEWEST]
    records = project.records(line.run_id for line in lines)
    here = machine.identify(devices.names())
    for line in lines:
        record = records.get(line.run_id)
        if record is not None and _is_alike(record, here, job, planned):
            tokens, seconds = (record.statistics.get(key, 0.0) for key in ("decode_tokens", "seconds"))
            lengths = _lengths(record)
            if min(tokens, seconds) > 0 and math.isfinite(tokens / seconds) and lengths:
                return Pace(line.run_id, tokens / seconds, lengths)
    return None


def _is_alike(record: Record, here: MachineIdentity, job: Job, planned: Plan) -> bool:
    same_machine = (record.machine.cpu, record.machine.cores, record.machine.gpu) == (here.cpu, here.cores, here.gpu)
    size = record.model.size
    return (
        same_machine
        and record.conditions == planned.conditions
        and abs(size - planned.model.path.stat().st_size) <= size // 100
        and record.sampling == sampling_of(job)
    )


def _lengths(record: Record) -> dict[tuple[str, str], float]:
    """Return the mean tokens of an answer by (suite, problem) as a record tells them; what cannot be is left out."""
    found: dict[tuple[str, str], float] = {}
    for result in record.results:
        for problem, (tokens, _) in result.tokens_by_problem.items():
            drawn = result.scored_by_problem.get(problem, 0)
            if drawn > 0 and tokens > 0:
                found[result.suite, problem] = tokens / drawn
    return found
