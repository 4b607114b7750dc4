"""A run again, compared sample by sample with what its record says."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.samples import key_id, proof_of

if TYPE_CHECKING:
    from publisher.bench.measure import Observer
    from publisher.publishing.project import Project
    from publisher.schema import Record, Sample


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How many answers came out the same, which did not, and what is different about this machine."""

    same: int
    unproven: int
    """Those of the same whose text was withheld by another machine: only outcome, end and length could be compared."""
    different: list[str]
    why: list[str]


def reproduce(project: Project, run_id: str, observer: Observer) -> Reproduction:
    """Measure a recorded run's commit again, reusing nothing, and compare each answer's text, to the letter."""
    return remeasured(project, run_id, observer)[0]


def remeasured(project: Project, run_id: str, observer: Observer) -> tuple[Reproduction, Record, Record]:
    """Return what `reproduce` finds, with the run's record and the new one.

    A private suite's texts are not in the ledger. The machine that measured them knows them again by their proofs.
    """
    # What infers is absent where sites are built.
    from publisher.bench.measure import Job, measure  # noqa: PLC0415
    from publisher.engine.fleet import Fleet  # noqa: PLC0415

    then = project.record(run_id)
    known = list(project.published_samples(run_id))
    config, digest = project.config(then.commit.sha)
    job = Job(
        project.repository,
        then.commit.sha,
        config,
        digest,
        then.tier,
        False,
        then.salt,
        dt.datetime.now(dt.UTC),
        project.policy(then.commit.sha),
    )
    workspace = project.workspace / "reproduce"
    # A half-finished earlier reproduction must not lend its samples to this one.
    shutil.rmtree(workspace, ignore_errors=True)
    try:
        again = measure(job, start=Fleet, workspace=workspace, reusable=lambda _: (), observer=observer)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    texts = {key(sample): sample for sample in again.samples}
    secret = project.proof_key if any(sample.withheld for sample in known) else b""
    compared = [(sample, _equal(sample, texts.get(key(sample)), secret)) for sample in known]
    same = [sample for sample, equal in compared if equal]
    found = Reproduction(
        len(same),
        sum(_is_unproven(sample, secret) for sample in same),
        [name(sample) for sample, equal in compared if not equal],
        differences(then, again.record),
    )
    return found, then, again.record


def key(sample: Sample) -> tuple[str, str, int]:
    """Return what names a sample within its run."""
    return sample.suite, sample.problem, sample.sample


def name(sample: Sample) -> str:
    """Return a sample's name for people."""
    return f"{sample.suite}/{sample.problem} sample {sample.sample + 1}"


def _equal(known: Sample, again: Sample | None, secret: bytes) -> bool:
    """Return whether a sample came out as it was; a withheld text is compared by its proof, where `secret` made it."""
    if again is None or (known.finish, known.tokens) != (again.finish, again.tokens):
        return False
    if not known.withheld:
        return known.text == again.text
    return known.outcome == again.outcome if _is_unproven(known, secret) else known.proof == proof_of(again, secret)


def _is_unproven(known: Sample, secret: bytes) -> bool:
    """Return whether a text was withheld by another machine than the one whose key is `secret`."""
    return known.withheld and not known.proof.startswith(f"{key_id(secret)}:")


def differences(then: Record, now: Record) -> list[str]:
    """Return what is not as it was: engine, processor, model, whatever can change an answer."""
    pairs = [
        ("model", then.model.sha256, now.model.sha256),
        ("engine", then.engine.build, now.engine.build),
        ("llama-cpp-python", then.engine.version, now.engine.version),
        ("mode", then.engine.mode, now.engine.mode),
        ("system", then.engine.system_info, now.engine.system_info),
        ("operating system", then.machine.system, now.machine.system),
        ("publisher", then.machine.publisher, now.machine.publisher),
        ("GPUs and drivers", then.conditions.get("gpus", ""), now.conditions.get("gpus", "")),
        ("batch shapes", _shapes(then), _shapes(now)),
        ("processor", then.machine.cpu, now.machine.cpu),
        ("GPU", then.machine.gpu, now.machine.gpu),
        ("prompt", then.prompt.sha256, now.prompt.sha256),
    ]
    return [f"{what} was {before or 'none'}, is {after or 'none'}" for what, before, after in pairs if before != after]


def _shapes(record: Record) -> str:
    """Return what an engine chose of its batches and placed on GPUs, where that decides answers."""
    names = ("slots", "threads", "n_ubatch", "tensor_split", "experts_on_cpu")
    chosen = [f"{name} {record.engine.options[name]}" for name in names if name in record.engine.options]
    return ", ".join([*chosen, f"{record.engine.gpu_layers_offloaded} layers offloaded"]) if chosen else ""
