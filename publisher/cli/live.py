"""`publisher live`: what the live site shows."""

from __future__ import annotations

import click
import msgspec

from publisher.cli.shared import echo_json, open_place
from publisher.ledger.history import live_moves


@click.command("live")
@click.option("--json", "as_json", is_flag=True, help="Print the last move as JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say which snapshot the live site shows, since when, who moved it and why."""
    place = open_place(ctx)
    place.ledger.sync()
    moves = live_moves(place.ledger)
    if as_json:
        echo_json(msgspec.to_builtins(moves[-1]) if moves else None)
    elif moves:
        move = moves[-1]
        who = f" by {move.who}" if move.who else ""
        click.echo(f"{move.snapshot} since {move.time}{who}: {move.why}")
    else:
        click.echo("nothing is live yet: publisher publish")
