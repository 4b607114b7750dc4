"""Look at everything and say what was found, in the order in which people set it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import PublisherError
from publisher.publishing.checkup.finding import Finding, fine, of_error
from publisher.publishing.checkup.machine import has_engine, machine_findings
from publisher.publishing.checkup.site import site_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.config import Config
    from publisher.publishing.project import Project


def findings(project: Project, revision: str = "HEAD") -> Iterator[Finding]:
    """Yield what is found about a project's set-up, engine aside; nothing is changed and nothing fetched but refs."""
    config: Config | None = None
    commit = ""
    try:
        commit = project.repository.resolve(revision)
        config, _ = project.config(commit)
        yield fine("configuration", f"publisher.toml of {commit[:12]} is valid")
    except PublisherError as error:
        yield of_error("configuration", error)
    yield from machine_findings(project, config, commit)
    if config is None:
        return
    try:
        project.ledger.sync()
    except PublisherError as error:
        yield of_error("ledger", error)
    yield from site_findings(project, config, measures=has_engine())
