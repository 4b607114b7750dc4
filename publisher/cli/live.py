"""`publisher live`: what the live site shows."""

from __future__ import annotations

import click
import msgspec

from publisher import upkeep
from publisher.cli.shared import echo_json, open_place
from publisher.ledger.history import live_moves
from publisher.report import plain


@click.command("live")
@click.option("--unlock", is_flag=True, help="Let Netlify publish builds by itself again.")
@click.option("--json", "as_json", is_flag=True, help="Print the last move as JSON.")
@click.pass_context
def command(ctx: click.Context, unlock: bool, as_json: bool) -> None:
    """Say which snapshot the live site shows, since when, who moved it and why."""
    place = open_place(ctx)
    place.ledger.sync()
    moves = live_moves(place.ledger)
    if unlock and moves:
        netlify, _ = place.client_of(upkeep.find_snapshot(place, moves[-1].run_id))
        netlify.unlock(moves[-1].deploy_id)
    if as_json:
        echo_json(msgspec.to_builtins(moves[-1]) if moves else None)
    elif moves:
        move = moves[-1]
        who = f" by {move.who}" if move.who else ""
        click.echo(plain(f"{move.snapshot} since {move.time}{who}: {move.why}"))
    else:
        click.echo("nothing is live yet: publisher publish")
