"""`publisher live`: what the live site shows."""

from __future__ import annotations

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.ledger.history import live_moves
from publisher.publishing.find import find_snapshot
from publisher.publishing.report import one_line


@click.command("live")
@click.option("--unlock", is_flag=True, help="Let Netlify publish builds by itself again.")
@click.option("--json", "as_json", is_flag=True, help="Print the last move as JSON.")
@click.pass_context
def command(ctx: click.Context, unlock: bool, as_json: bool) -> None:
    """Say which snapshot the live site shows, since when, who moved it and why."""
    project = open_project(ctx)
    project.ledger.sync()
    moves = live_moves(project.ledger)
    if unlock and moves:
        netlify, _ = project.client_of(find_snapshot(project, moves[-1].run_id))
        published = netlify.site().published_deploy
        # A repair gives the live snapshot a new deploy, so the ledger's last move may name one that is gone.
        netlify.unlock(published.id if published else moves[-1].deploy_id)
    if as_json:
        echo_json(msgspec.to_builtins(moves[-1]) if moves else None)
    elif moves:
        move = moves[-1]
        who = f" by {move.who}" if move.who else ""
        echo(one_line(f"{move.snapshot} since {move.time}{who}: {move.why}", 1000))
    else:
        echo("nothing is live yet: publisher publish")
