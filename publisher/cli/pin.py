"""`publisher pin`: memorable addresses."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.errors import UsageError
from publisher.ledger import history
from publisher.publishing import pins
from publisher.publishing.find import find_snapshot
from publisher.publishing.report import table


@click.command("pin", context_settings={"ignore_unknown_options": True})
@click.argument("snapshot", required=False)
@click.argument("name", required=False)
@click.option("--move", is_flag=True, help="Move a pin that exists; its earlier places stay recorded.")
@click.option("--dry-run", is_flag=True, help="Only check the name and say what would be pinned.")
@click.pass_context
def command(ctx: click.Context, snapshot: str | None, name: str | None, move: bool, dry_run: bool) -> None:
    """Give SNAPSHOT the address NAME--SITE, which never moves by itself. Without arguments, list the pins."""
    project = open_project(ctx)
    project.ledger.sync()
    if snapshot is None:
        rows = [[pin.name, pin.snapshot, pin.address, pin.time] for pin in history.pins(project.ledger).values()]
        echo(table(["pin", "snapshot", "address", "since"], rows) if rows else "nothing is pinned yet")
        return
    if name is None:
        raise UsageError("a pin needs a name", hint=f"publisher pin {snapshot} math-v3")
    if dry_run:
        run = find_snapshot(project, snapshot)
        netlify, _ = project.client_of(run)
        pins.check_name(name, netlify.settings.site)
        echo(f"would pin {run.line.snapshot} as {netlify.settings.address_of(name)}")
        return
    echo(f"pinned: {pins.pin(project, snapshot, name, move=move, note=note).address}")
