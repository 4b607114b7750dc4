"""`publisher accept`: keep a run that the gate rejected, left open or held."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.decisions import accept
from publisher.publishing.find import find_run


@click.command("accept")
@click.argument("run", shell_complete=offers.runs)
@click.option(
    "--reason",
    "--why",
    "reason",
    metavar="WHY",
    required=True,
    help="Why; the ledger and the snapshot's page keep it, with your name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ledger's entry as JSON.")
@click.pass_context
def command(ctx: click.Context, run: str, reason: str, as_json: bool) -> None:
    """Keep RUN (a run id, snapshot, pin or commit) although the gate rejected it, left it open or held it.

    publisher reconcile, or the next publish, then publishes it; from then on it is part of the baseline.
    """
    project = open_project(ctx)
    project.ledger.sync()
    made = accept(project, find_run(project, run), reason=reason)
    if as_json:
        echo_json(msgspec.to_builtins(made))
        return
    echo(f"{made.verdict}: {made.run_id}")
    for rule in made.overrides:
        echo(f"  overrules {rule}")
    then = f"publisher publish {made.run_id.split('-')[1]} --tier auto   continues with the next tier"
    echo("publisher reconcile   publishes it" if made.verdict == "kept" else then)
