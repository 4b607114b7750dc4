"""`publisher approve`: let a run through that waits for somebody's approval."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import UsageError
from publisher.publishing.decisions import accept, decided
from publisher.publishing.find import find_run


@click.command("approve")
@click.argument("run", shell_complete=offers.runs)
@click.option(
    "--reason",
    "--why",
    "reason",
    metavar="WHY",
    required=True,
    help="Why; the ledger keeps it, with your name and the time.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ledger's entry as JSON.")
@click.pass_context
def command(ctx: click.Context, run: str, reason: str, as_json: bool) -> None:
    """Approve RUN, which the gate would keep and `[gate] approval` holds; publisher reconcile then publishes it."""
    project = open_project(ctx)
    project.ledger.sync()
    found = find_run(project, run)
    if found.line.verdict != "held" and decided(found, kept=True, reason=reason) is None:
        raise UsageError(
            f"{found.run_id} is {found.line.verdict}, not held", hint="publisher accept   overrules the gate"
        )
    made = accept(project, found, reason=reason)
    echo_json(msgspec.to_builtins(made)) if as_json else echo(
        f"approved: {made.run_id}\npublisher reconcile   publishes it"
    )
