"""`publisher reject`: withdraw a run that was kept."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.ledger import history
from publisher.publishing.canary import course
from publisher.publishing.decisions import withdraw
from publisher.publishing.find import find_run


@click.command("reject")
@click.argument("snapshot", shell_complete=offers.snapshots)
@click.option(
    "--reason",
    "--why",
    "reason",
    metavar="WHY",
    required=True,
    help="Why; the ledger keeps it, with your name, and later pages show it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ledger's entry as JSON.")
@click.pass_context
def command(ctx: click.Context, snapshot: str, reason: str, as_json: bool) -> None:
    """Withdraw SNAPSHOT (a branch, pin, run id or commit): it is no baseline any more.

    Its own pages stay as they are; later ones say that it was withdrawn. The live site does not move by itself;
    a canary of it ends, and its readers see what is live again.
    """
    project = open_project(ctx)
    project.ledger.sync()
    made = withdraw(project, find_run(project, snapshot), reason=reason)
    moves = history.live_moves(project.ledger)
    if as_json:
        echo_json(msgspec.to_builtins(made))
    else:
        echo(f"rejected: {made.run_id}")
        if moves and moves[-1].run_id == made.run_id:
            echo("it is still live: publisher rollback -1 --reason WHY   shows the one before")
    course.settle_lost(project, note)
