"""What a machine needs to measure and to publish: git, the repository, its remote, the engine, the model, a sandbox."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import TYPE_CHECKING

from publisher.errors import GraderError
from publisher.publishing.checkup.finding import Finding, checked, fine, note, wrong
from publisher.registry import elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.config import Config
    from publisher.engine.doctor import EngineReport
    from publisher.publishing.project import Project

ENGINE = "llama_cpp"
_OLDEST = (2, 30)
"""The oldest git that is known to have what the ledger needs."""
_PROGRAMS = {"python", "python-tests", "stdin", "functional", "livecodebench"}
"""Graders that run programs."""


def has_engine() -> bool:
    """Return whether llama.cpp is installed here: without it a machine publishes, but measures nothing."""
    return importlib.util.find_spec(ENGINE) is not None


def machine_findings(project: Project, config: Config | None, commit: str) -> Iterator[Finding]:
    """Yield what there is to say about git, the remote, the trusted branch, the model and the sandbox."""
    yield from checked("git", lambda: _git(project))
    yield from checked("remote", lambda: _remote(project))
    yield from checked("policy", lambda: _policy(project))
    if config is not None and has_engine():
        chosen = config
        yield from checked("model", lambda: _model(project, chosen, commit))
        yield from checked("sandbox", lambda: _sandbox(chosen))


def engine_findings(report: EngineReport | None) -> Iterator[Finding]:
    """Yield what a trial of llama.cpp found; None where it is not installed."""
    if report is None:
        says = "llama.cpp is not installed here: this machine can publish, but not measure"
        yield note("engine", says, "pip install 'snapshot-publisher[bench]'")
        return
    for problem, hint in zip(report.problems, report.hints, strict=True):
        yield wrong("engine", problem, hint)
    if report.library is not None:
        for reason in report.library.confinement.missing:
            yield note("confinement", reason)
    if report.loaded:
        layers = f"{report.layers_offloaded} of {report.layers + 1} layers offloaded, backend {report.backend}"
        gpu = "" if report.gpu_driver else "; this machine has no GPU driver"
        yield fine("engine", f"{layers}, {report.decode_tokens_per_second:,.0f} tokens/s{gpu}")


def _git(project: Project) -> Finding:
    text = project.repository.text("--version").strip()
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        return wrong("git", f"{text}: at least {'.'.join(map(str, _OLDEST))} is needed", "install a newer git")
    return fine("git", text)


def _remote(project: Project) -> Finding:
    remote = project.ledger.remote
    if remote is None:
        return note("remote", "there is none: ledger and snapshots stay in this repository", "git remote add origin …")
    refs = project.repository.remote_refs(remote, "refs/heads/*")
    return fine("remote", f"{remote} answers, with {len(refs)} branch{'' if len(refs) == 1 else 'es'}")


def _policy(project: Project) -> Finding:
    if project.trusted is None:
        says = "no trusted branch is named: each commit brings its own rules"
        return note("policy", says, "--policy-ref BRANCH, or PUBLISHER_POLICY_REF, where strangers commit")
    return fine("policy", f"the rules of {project.trusted.name} count, as of {project.trusted.tip[:12]}")


def _model(project: Project, config: Config, commit: str) -> Finding:
    """Compare the model's digest where the file is at hand; a download is left to the first run."""
    # Only where llama.cpp is: a machine that measures has the extra that this needs.
    from publisher.bench.inputs import model_file  # noqa: PLC0415 - as above
    from publisher.bench.inputs.kind import Inputs  # noqa: PLC0415 - as above
    from publisher.bench.inputs.sources import is_whole  # noqa: PLC0415 - as above

    section = config.model
    inputs = Inputs.of(project.repository, commit, os.environ, lambda _: None)
    if elsewhere(section.source) and not section.source.startswith("local:"):
        cached = inputs.cache / "models" / f"{section.sha256}.gguf"
        if not (section.sha256 and is_whole(cached, section.sha256)):
            return note("model", f"{section.source} is not in the cache yet: the first run fetches it")
        return fine("model", f"{section.source} is in the cache, with the declared sha256")
    found = model_file.resolve(section, inputs)
    return fine("model", f"{section.source}: sha256 {found.sha256[:12]}…")


def _sandbox(config: Config) -> Finding:
    from publisher.graders.code.sandbox import Sandbox  # noqa: PLC0415 - only where programs may be graded

    needed = sorted(name for name, suite in config.suites.items() if suite.grader.partition("?")[0] in _PROGRAMS)
    try:
        with Sandbox.open():
            return fine("sandbox", "programs that a model wrote can be run and graded")
    except GraderError as error:
        make = wrong if needed else note
        used = f"; needed by {', '.join(needed)}" if needed else "; no suite here needs it"
        return make("sandbox", error.message + used, error.hint)
