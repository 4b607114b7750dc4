"""`publisher give-up`: end a run for good."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.publishing import give_up
from publisher.publishing.canary import course
from publisher.publishing.find import find_run


@click.command("give-up")
@click.argument("run", shell_complete=offers.runs)
@click.option(
    "--reason",
    "--why",
    "reason",
    metavar="WHY",
    required=True,
    help="Why; the ledger keeps it, with your name and the time.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be given up.")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger's entry as JSON.")
@click.pass_context
def command(ctx: click.Context, run: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """End RUN (a run id, snapshot, pin or commit) for good.

    From then on publish, reconcile, verify --all and prune skip it. Its record stays, and so do deploys that it has;
    publisher publish --fresh measures its commit again.
    """
    project = open_project(ctx)
    project.ledger.sync()
    found = find_run(project, run)
    give_up.check(found)
    reason = give_up.check_reason(reason)
    if dry_run:
        echo(f"would give up {found.run_id}: {reason}")
        return
    known = found.given_up is not None
    entry = give_up.give_up(project, found, reason=reason)
    if as_json:
        echo_json(msgspec.to_builtins(entry))
    elif known or entry.why != reason:
        echo(f"{found.run_id} was given up on {entry.time} by {entry.who or 'somebody'}: {entry.why}")
    else:
        echo(f"given up: {found.run_id}")
    course.settle_lost(project, note)
