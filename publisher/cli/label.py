"""`publisher label`: words attached to runs."""

from __future__ import annotations

import click

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo
from publisher.publishing.find import find_run
from publisher.publishing.labels import labels_of, set_label


@click.command("label")
@click.argument("run", shell_complete=offers.runs)
@click.argument("name", required=False)
@click.option("--remove", is_flag=True, help="Take the label off; that it was there stays in the ledger.")
@click.option(
    "--reason",
    "--why",
    "reason",
    metavar="WHY",
    default="",
    help="Why; the ledger keeps it, with your name and the time.",
)
@click.pass_context
def command(ctx: click.Context, run: str, name: str | None, remove: bool, reason: str) -> None:
    """Attach NAME to RUN (a run id, snapshot, pin or commit). Without NAME, list the run's labels."""
    project = open_project(ctx)
    project.ledger.sync()
    found = find_run(project, run)
    if name is None:
        echo("\n".join(sorted(labels_of(project).get(found.run_id, ()))) or f"{found.run_id} has no labels")
        return
    changed = set_label(project, found, name, on=not remove, reason=reason)
    state = "no longer has" if remove else "has"
    echo(f"{found.run_id} {state} the label {name}" + ("" if changed else ", as before"))
