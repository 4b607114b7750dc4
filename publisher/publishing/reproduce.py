"""A run again, compared sample by sample with what its record says."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import StorageError
from publisher.ledger import history
from publisher.publishing.project import LARGEST_SAMPLES, Project
from publisher.samples import unpack_samples

if TYPE_CHECKING:
    from publisher.bench.measure import Observer
    from publisher.schema import Record, Sample


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How many answers came out the same, which did not, and what is different about this machine."""

    same: int
    different: list[str]
    why: list[str]


def reproduce(project: Project, run_id: str, observer: Observer) -> Reproduction:
    """Measure a recorded run's commit again, reusing nothing, and compare each answer's text, to the letter."""
    # What infers is absent where sites are built.
    from publisher.bench.measure import Job, measure  # noqa: PLC0415
    from publisher.engine.fleet import Fleet  # noqa: PLC0415

    then = project.record(run_id)
    packed = project.ledger.read(f"{history.folder(run_id)}/samples.jsonl.gz")
    if packed is None:
        raise StorageError(f"the ledger has no samples of {run_id}", hint="git fetch origin ledger:ledger")
    config, digest = project.config(then.commit.sha)
    job = Job(project.repository, then.commit.sha, config, digest, then.tier, False, then.salt, dt.datetime.now(dt.UTC))
    workspace = project.workspace / "reproduce"
    # A half-finished earlier reproduction must not lend its samples to this one.
    shutil.rmtree(workspace, ignore_errors=True)
    try:
        again = measure(job, start=Fleet, workspace=workspace, reusable=lambda _: (), observer=observer)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    texts = {key(sample): sample for sample in again.samples}
    known = unpack_samples(packed, LARGEST_SAMPLES)
    different = [name(sample) for sample in known if not _equal(sample, texts.get(key(sample)))]
    return Reproduction(len(known) - len(different), different, differences(then, again.record))


def key(sample: Sample) -> tuple[str, str, int]:
    """Return what names a sample within its run."""
    return sample.suite, sample.problem, sample.sample


def name(sample: Sample) -> str:
    """Return a sample's name for people."""
    return f"{sample.suite}/{sample.problem} sample {sample.sample}"


def _equal(known: Sample, again: Sample | None) -> bool:
    return again is not None and (known.text, known.finish, known.tokens) == (again.text, again.finish, again.tokens)


def differences(then: Record, now: Record) -> list[str]:
    """Return what is not as it was: engine, processor, model, whatever can change an answer."""
    pairs = [
        ("model", then.model.sha256, now.model.sha256),
        ("engine", then.engine.build, now.engine.build),
        ("llama-cpp-python", then.engine.version, now.engine.version),
        ("mode", then.engine.mode, now.engine.mode),
        ("system", then.engine.system_info, now.engine.system_info),
        ("processor", then.machine.cpu, now.machine.cpu),
        ("GPU", then.machine.gpu, now.machine.gpu),
        ("prompt", then.prompt.sha256, now.prompt.sha256),
    ]
    return [f"{what} was {before or 'none'}, is {after or 'none'}" for what, before, after in pairs if before != after]
