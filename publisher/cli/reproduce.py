"""`publisher reproduce`: run a snapshot again."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import offers
from publisher.cli.progress import Watch
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.find import find_snapshot
from publisher.publishing.reproduce import reproduce


@click.command("reproduce", context_settings={"ignore_unknown_options": True})
@click.argument("snapshot", shell_complete=offers.snapshots)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.pass_context
def command(ctx: click.Context, snapshot: str, as_json: bool) -> None:
    """Measure SNAPSHOT's commit again and compare every answer with the record; exit 1 where one differs."""
    project = open_project(ctx)
    project.ledger.sync()
    run = find_snapshot(project, snapshot)
    with Watch() as watch:
        found = reproduce(project, run.run_id, watch)
    if as_json:
        echo_json({"run_id": run.run_id, **msgspec.to_builtins(found)})
    else:
        for line in found.why:
            echo(f"  {line}")
        echo(f"{found.same} of {found.same + len(found.different)} answers are the same, to the letter")
        if found.unproven:
            echo(
                f"  but the texts of {found.unproven} are private and only on the machine that measured them: "
                "of those, outcome, end and number of tokens are the same"
            )
        for name in found.different[:10]:
            echo(f"  differs: {name}")
    ctx.exit(1 if found.different else 0)
