"""`publisher takedown`: remove a published page for good."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.publishing import takedown
from publisher.publishing.find import find_named
from publisher.publishing.give_up import check_reason


@click.command("takedown")
@click.argument("snapshot", shell_complete=offers.snapshots)
@click.option(
    "--reason",
    "--why",
    "reason",
    metavar="WHY",
    required=True,
    help="Why; the ledger keeps it, with your name and the time.",
)
@click.option("--dry-run", is_flag=True, help="Only check, and say what would be taken down.")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger's entry as JSON.")
@click.pass_context
def command(ctx: click.Context, snapshot: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Remove the pages of SNAPSHOT for good: its deploys, the pins to it and its branch.

    The branch `ledger` keeps the run's record, verdict and samples, and this entry. A live snapshot is not taken down:
    roll back to another one first. Run it again where it was interrupted.
    """
    project = open_project(ctx)
    project.ledger.sync()
    run = find_named(project, snapshot)
    reason = check_reason(reason)
    if dry_run:
        target, _ = takedown.check(project, run)
        echo(f"would take down {target.branch} {run.line.address}: {reason}")
        return
    entry = takedown.take_down(project, run, reason=reason, note=note)
    if as_json:
        echo_json(msgspec.to_builtins(entry))
    else:
        echo(f"{entry.snapshot} was taken down by {entry.who or 'somebody'} on {entry.time}: {entry.why}")
