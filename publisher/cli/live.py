"""`publisher live`: what the live site shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import PublisherError
from publisher.ledger import canaries
from publisher.ledger.history import live_moves
from publisher.netlify.client import WITHOUT_API
from publisher.publishing.find import find_published, find_snapshot
from publisher.publishing.live import is_locked
from publisher.publishing.report import one_line

if TYPE_CHECKING:
    from publisher.publishing.project import Project

LOCKS = {
    True: "locked: no build is published by itself until  publisher live --unlock",
    False: "not locked: the next kept run goes live by itself",
    None: "whether it is locked is not known here",
}


@click.command("live")
@click.option("--unlock", is_flag=True, help="Let Netlify publish builds by itself again.")
@click.option("--json", "as_json", is_flag=True, help="Print the last move as JSON.")
@click.pass_context
def command(ctx: click.Context, unlock: bool, as_json: bool) -> None:
    """Say which snapshot the live site shows, since when, who moved it and why, and whether it is locked."""
    project = open_project(ctx)
    project.ledger.sync()
    moves = live_moves(project.ledger)
    if not moves:
        if as_json:
            echo_json(None)
        else:
            echo("nothing is live yet: publisher publish")
        return
    move = moves[-1]
    if unlock:
        netlify, _ = project.client_of(find_snapshot(project, move.run_id))
        published = netlify.site().published_deploy
        # A repair gives the live snapshot a new deploy, so the ledger's last move may name one that is gone.
        netlify.unlock(published.id if published else move.deploy_id)
    locked, why = _lock(project, move.run_id)
    if as_json:
        echo_json({**msgspec.to_builtins(move), "locked": locked})
        return
    echo(one_line(f"{move.snapshot} since {move.time}", 200))
    who = move.who or "somebody"
    echo(f"  {one_line(f'by {who}: {move.why}', 1000)}")
    echo(LOCKS[locked] + (f": {why}" if why else ""))
    canary = canaries.running(project.ledger)
    if canary is not None:
        tried = f"canary {canary.start.number}: {canary.readers} see {canary.start.snapshot} instead"
        echo(one_line(f"{tried}: publisher canary status", 300))


def _lock(project: Project, run_id: str) -> tuple[bool | None, str]:
    """Return whether the live site is locked, or None and why that is not known."""
    try:
        netlify, _ = project.client_of(find_published(project, run_id))
        if not netlify.settings.token:
            return None, WITHOUT_API
        return is_locked(netlify), ""
    except PublisherError as error:
        return None, error.message
