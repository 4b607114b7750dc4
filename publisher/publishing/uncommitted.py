"""What decides a run and has changed in the working tree since it was committed: the commit counts, not the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.config import FILE
from publisher.config.prompts import path_of

if TYPE_CHECKING:
    from publisher.config import Config
    from publisher.publishing.project import Project


def paths_of(config: Config) -> list[str]:
    """Return the files of the repository that decide a run, with publisher.toml first."""
    named = [config.model.source, *(suite.source for suite in config.suites.values())]
    # What is fetched from elsewhere has a colon, and so has git's own syntax for paths.
    sources = [source for source in named if source and ":" not in source]
    prompt = [path_of(config.prompt.use)] if config.prompt.use else []
    graders = [suite.grader.split(":")[1] for suite in config.suites.values() if suite.grader.startswith("python:")]
    return list(dict.fromkeys([FILE, *prompt, *sources, *graders]))


def uncommitted(project: Project, revision: str) -> list[str]:
    """Return the files of publisher's that differ from HEAD, in git's order; none where another commit is meant."""
    repository = project.repository
    if repository.root == repository.git_folder or revision not in {"HEAD", "@"}:
        return []
    config, _ = project.config(repository.resolve(revision))
    text = repository.text(
        "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames", "--", *paths_of(config)
    )
    return [entry[3:] for entry in text.split("\0") if entry]


def remark(project: Project, revision: str) -> str:
    """Return a sentence about such files, with what to type; empty where there are none."""
    found = uncommitted(project, revision)
    if not found:
        return ""
    named = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    verb = "has" if len(found) == 1 else "have"
    return (
        f"{named} {verb} changes that are not committed: what HEAD has is measured (git commit --all   takes them in; "
        "publisher bench --dirty   tries them out)"
    )
