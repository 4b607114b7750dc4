"""Whether a commit changes anything that decides a score, told from git alone: no model, no engine, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher.config.metrics import PROGRAM
from publisher.errors import PublisherError
from publisher.files import canonical_json, sha256_hex

if TYPE_CHECKING:
    from publisher.publishing.project import Project, Target


def same_inputs(project: Project, target: Target) -> str:
    """Return the newest kept run that measured what `target` would measure, or nothing.

    Compared are model, prompt, sampling, engine options, suites, metrics and k as they are declared, and the committed
    files that they and their graders name. A new build of the engine is no change of the commit: it does not count.
    """
    wanted = _inputs(project, target)
    for run in reversed(project.runs()):
        line = run.line
        if line.verdict != "kept" or line.tier != target.tier or line.stopped_early or run.is_over:
            continue
        try:
            before = _inputs(project, project.target(line.commit, target.tier))
        except PublisherError:
            before = ""  # a commit or a configuration that cannot be read any more is like nothing
        return run.run_id if before == wanted else ""
    return ""


def _inputs(project: Project, target: Target) -> str:
    """Return the digest of everything that a commit says about what is measured."""
    config, commit = target.config, target.commit
    suites = {name: config.suites[name] for name in config.tier(target.tier)}
    rules = target.policy or commit
    places = [(config.model.source, commit), *((suite.source, rules) for suite in suites.values())]
    # A grader is python:PATH:FUNCTION; a metric's source is a path of the commit, or a program's, python:PATH.
    programs = [suite.grader for suite in suites.values()] + [one.source for one in config.metrics.values()]
    named = [(source.split(":")[1], rules) for source in programs if source.startswith(PROGRAM)]
    named += [(one.source, commit) for one in config.metrics.values() if one.source]
    places += [(path, at) for path, at in named if path]
    blobs = [project.repository.blob(at, source) if _is_committed(source) else source for source, at in places]
    parts = [config.model, config.prompt, config.engine, suites, config.metrics, config.tier(target.tier), blobs]
    return sha256_hex(canonical_json(msgspec.to_builtins(parts)))


def _is_committed(source: str) -> bool:
    return ":" not in source
