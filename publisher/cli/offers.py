"""What a shell is offered where a command takes a run or a snapshot: names from this clone's ledger, newest first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from publisher.errors import PublisherError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from publisher.publishing.project import Project

MOST = 50
"""Names that are offered at once: nobody reads more, and a ledger may have thousands."""


def runs(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer pins, snapshots and run ids."""
    return _offered(ctx, incomplete, published=False)


def snapshots(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer pins and the snapshots that are published."""
    return _offered(ctx, incomplete, published=True)


def _offered(ctx: click.Context, incomplete: str, *, published: bool) -> list[CompletionItem]:
    """Return the names that begin as typed; none where they cannot be read, since a shell has no place for an error."""
    # Imported here, so that completing a command's name stays quick.
    from publisher.publishing.project import Project  # noqa: PLC0415 - as above
    from publisher.visible import visible  # noqa: PLC0415 - as above

    given = ctx.find_root().params
    try:
        project = Project.open(Path(given.get("repo") or "."), os.environ, given.get("remote"), as_fetched=True)
        found = {name: subject for name, subject in _names(project, published=published) if name.startswith(incomplete)}
    except PublisherError:
        return []
    return [CompletionItem(name, help=visible(subject)[:60]) for name, subject in list(found.items())[:MOST]]


def _names(project: Project, *, published: bool) -> Iterator[tuple[str, str]]:
    """Yield each name with the subject of the commit that it leads to."""
    from publisher.ledger import history  # noqa: PLC0415 - as above

    known = {run.run_id: run for run in reversed(project.runs()) if not published or run.receipt is not None}
    for name, pin in history.pins(project.ledger).items():
        if pin.run_id in known:
            yield name, known[pin.run_id].line.subject
    for run in known.values():
        if run.line.snapshot:
            yield run.line.snapshot, run.line.subject
        if not published:
            yield run.run_id, run.line.subject
