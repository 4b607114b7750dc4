"""`publisher pin`: memorable addresses."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.errors import UsageError
from publisher.ledger import history
from publisher.publishing import pins
from publisher.publishing.find import find_snapshot
from publisher.publishing.report import one_line, table

if TYPE_CHECKING:
    from publisher.publishing.project import Project


@click.command("pin", context_settings={"ignore_unknown_options": True})
@click.argument("snapshot", shell_complete=offers.snapshots, required=False)
@click.argument("name", required=False)
@click.option("--move", is_flag=True, help="Move a pin that exists; its earlier places stay recorded.")
@click.option("--dry-run", is_flag=True, help="Only check the name and say what would be pinned.")
@click.option("--json", "as_json", is_flag=True, help="Print the pin, or the list of pins, as JSON.")
@click.pass_context
def command(
    ctx: click.Context, snapshot: str | None, name: str | None, move: bool, dry_run: bool, as_json: bool
) -> None:
    """Give SNAPSHOT the address NAME--SITE, which never moves by itself. Without arguments, list the pins."""
    project = open_project(ctx)
    project.ledger.sync()
    if snapshot is None:
        _list(project, as_json=as_json)
        return
    if name is None:
        raise UsageError("a pin needs a name", hint=f"publisher pin {shlex.quote(snapshot)} math-v3")
    if dry_run:
        run = find_snapshot(project, snapshot)
        netlify, _ = project.client_of(run)
        pins.check_name(name, netlify.settings.site)
        echo(f"would pin {run.line.snapshot} as {netlify.settings.address_of(name)}")
        return
    made = pins.pin(project, snapshot, name, move=move, note=note)
    if as_json:
        echo_json(msgspec.to_builtins(made))
    else:
        echo(f"pinned: {made.address}")


def _list(project: Project, *, as_json: bool) -> None:
    """Print the pins as they are now: name, snapshot and since when, and below each its address."""
    known = sorted(history.pins(project.ledger).values(), key=lambda pin: pin.name)
    if as_json:
        echo_json([msgspec.to_builtins(pin) for pin in known])
    elif known:
        rows = [[pin.name, one_line(pin.snapshot), pin.time[:10]] for pin in known]
        lines = table(["pin", "snapshot", "since"], rows).splitlines()
        below = [f"  {one_line(pin.address, 300)}" for pin in known]
        echo("\n".join([*lines[:2], *(part for pair in zip(lines[2:], below, strict=True) for part in pair)]))
    else:
        echo("nothing is pinned yet")
